// The operator's messages about alerts (spec/alerts.md). Times are unix milliseconds.
import { z } from 'zod';

/** The kinds of alerts; spec/alerts.md explains each and what to do. */
export const alertKinds = [
  'values-alike',
  'clone',
  'identity-in-two-places',
  'certificate-fork',
  'certificate-expiring',
  'bootstrap-token',
  'service-token-orphaned',
  'log-fork',
  'keys-alike',
  'refused-attempts',
  'balancer-without-header',
  'release-refused-by-devices',
  'device-clock',
  'device-state-lost',
  'tpm-clock',
  'guard-ended',
  'leases-used-up',
  'attestation-key-unlisted',
  'tier-not-vouched',
  'boot-refused',
  'ima-policy-refused',
  'unknown-maker',
  'policy-gives-all-keys',
  'policy-rests-on-claims',
  'workload-rests-on-claims',
  'lease-elsewhere',
  'key-wrap-downgraded',
  'stages-not-covered',
  'boots-not-compared',
  'reference-values-ending',
  'reference-values-not-quoted',
  'boots-superseded',
  'job-failing',
  'hub-clock',
  'store-unavailable',
  'name-reserved',
  'general-authority',
  'evidence-space',
  'artifact-lost',
  'artifacts-unreachable',
  'rows-refused',
  'key-list',
  'root-list',
  'witness-quorum',
  'public-witness',
  'post-quantum-refused',
  'publisher-ended',
  'consumer-behind',
  'node-silent',
  'webhook-failing',
] as const;
export type AlertKind = (typeof alertKinds)[number];

/** From the least to the most severe. */
export const alertSeverities = ['low', 'medium', 'high', 'critical'] as const;
export type AlertSeverity = (typeof alertSeverities)[number];

const alertStates = ['open', 'acknowledged', 'closed'] as const;
export type AlertState = (typeof alertStates)[number];

export const alertView = z.object({
  /** Index of the audit entry that opened it: `GET /v1/audit/ID/proof`. */
  id: z.number(),
  kind: z.enum(alertKinds),
  severity: z.enum(alertSeverities),
  state: z.enum(alertStates),
  /** The subject, as in the audit log: `device:press-7`. */
  subject: z.string(),
  /** The device, if it is about one. */
  deviceId: z.string().nullable(),
  title: z.string(),
  data: z.record(z.string(), z.unknown()),
  firstSeen: z.number(),
  lastSeen: z.number(),
  /** How often it was seen while it is open. */
  count: z.number(),
  /** Who acknowledged or closed it, when, and their note; null before that. */
  by: z.string().nullable(),
  at: z.number().nullable(),
  note: z.string().nullable(),
});
export type AlertView = z.infer<typeof alertView>;

export const alertQuery = z.strictObject({
  /** `standing` is open or acknowledged. */
  state: z.enum(['standing', ...alertStates, 'any']).default('standing'),
  kind: z.enum(alertKinds).optional(),
  device: z.string().max(64).optional(),
  /** Alerts that were raised before this one. */
  before: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export const alertList = z.object({ alerts: z.array(alertView), next: z.number().nullable() });

const noteText = z.string().min(1).max(500);
export const acknowledgeRequest = z.strictObject({ note: noteText.optional() });
export const closeRequest = z.strictObject({ note: noteText });
