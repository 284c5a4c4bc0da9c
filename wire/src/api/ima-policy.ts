// The operator's messages about IMA policies (spec/ima-policy.md).
import { z } from 'zod';
import { base64url } from './bytes.ts';

/** A document of 24 MiB in base64url, and its bundle. */
export const IMA_POLICY_ORDER_BYTES_MAX = 33 * 1024 * 1024;

export const imaPolicyRequest = z.strictObject({
  document: base64url(IMA_POLICY_ORDER_BYTES_MAX),
  /** An OMS bundle over the one file. */
  signature: z.string().max(100_000),
});

export const imaPolicyView = z.object({
  name: z.string(),
  version: z.string(),
  publisher: z.string(),
  publishedAt: z.number(),
  withdrawnAt: z.number().nullable(),
});
export type ImaPolicyView = z.infer<typeof imaPolicyView>;

export const imaPolicyList = z.object({ imaPolicies: z.array(imaPolicyView) });
export const imaPolicyWithdrawn = z.object({ name: z.string(), version: z.string(), withdrawn: z.boolean() });
