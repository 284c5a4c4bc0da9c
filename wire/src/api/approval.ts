// The messages about requests that wait for a second person (spec/operator-access.md, "Two people"). Times are Unix milliseconds.
import { z } from 'zod';
import { sha256Hex } from './bytes.ts';
import { scopeWord } from './words.ts';

/** The answer to a root operation (status 202) when it was not carried out yet. */
export const approvalRequired = z.object({
  approvalRequired: z.object({
    id: z.string(),
    operation: z.string(),
    digest: sha256Hex,
    expiresAt: z.number(),
    message: z.string(),
  }),
});
export type ApprovalRequired = z.infer<typeof approvalRequired>;

const approvalStates = ['waiting', 'expired', 'refused', 'approved', 'executed', 'failed', 'interrupted'] as const;

/** A request in the list; `show` returns its body. */
const approvalSummary = z.object({
  id: z.string(),
  operation: z.string(),
  digest: sha256Hex,
  /** The scope that an approver's token must have. */
  scope: scopeWord,
  method: z.string(),
  path: z.string(),
  person: z.string(),
  requestedAt: z.number(),
  expiresAt: z.number(),
  state: z.enum(approvalStates),
  decidedBy: z.string().nullable(),
  decidedAt: z.number().nullable(),
  /** Why it was refused. */
  reason: z.string().nullable(),
  /** The status of the answer, once it was carried out. */
  status: z.number().nullable(),
});
export type ApprovalSummary = z.infer<typeof approvalSummary>;
export const approvalList = z.object({ approvals: z.array(approvalSummary) });

export const approvalView = approvalSummary.extend({
  /** Canonical JSON; empty where there is none. */
  body: z.string(),
});
export type ApprovalView = z.infer<typeof approvalView>;

/** The digest of the text that the approver read: only this text is carried out. */
export const approveRequest = z.strictObject({ digest: sha256Hex });
export const approveResponse = z.object({
  id: z.string(),
  state: z.enum(['executed', 'failed']),
  status: z.number(),
  /** The answer to the request, as JSON. */
  answer: z.unknown(),
});
export const refusalRequest = z.strictObject({ reason: z.string().min(1).max(500) });
