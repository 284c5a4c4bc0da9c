// The operator's messages about webhooks (spec/webhooks.md). Times are unix milliseconds.
import { z } from 'zod';
import { alertKinds, alertSeverities } from './alert.ts';
import { webAddressSchema } from './texts.ts';

const webhookSignings = ['hmac-sha256', 'ed25519'] as const;
export type WebhookSigning = (typeof webhookSignings)[number];

/** Lower case: it appears in metrics, logs and the names of alerts. */
export const webhookName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);

const URL_MAX = 500;
const PEM_MAX = 65_536;

/** Which alerts it gets. */
export const webhookTerms = z.strictObject({
  minSeverity: z.enum(alertSeverities).default('low'),
  /** Of alerts; empty: all. */
  kinds: z.array(z.enum(alertKinds)).max(64).default([]),
});
export type WebhookTerms = z.infer<typeof webhookTerms>;

export const webhookRequest = webhookTerms.extend({
  name: webhookName,
  url: webAddressSchema(['https'], URL_MAX),
  signing: z.enum(webhookSignings).default('hmac-sha256'),
  /** PEM of the certificates that are trusted for it; null: the public ones. */
  trustedPem: z.string().min(1).max(PEM_MAX).nullable().default(null),
});

export type WebhookRequest = z.infer<typeof webhookRequest>;

export const webhook = z.object({
  name: z.string(),
  /** Scheme, host and port: the path may be a secret of the receiver. */
  server: z.string(),
  signing: z.enum(webhookSignings),
  minSeverity: z.enum(alertSeverities),
  kinds: z.array(z.enum(alertKinds)),
  createdAt: z.number(),
  createdBy: z.string(),
  /** Why nothing is sent: the receiver said so. */
  disabledReason: z.string().nullable(),
  /** Secrets that sign now. Without one nothing is sent. */
  secrets: z.number(),
  /** Until when an older secret signs as well. */
  olderSecretUntil: z.number().nullable(),
  waiting: z.number(),
  dead: z.number(),
  /** Of the newest failed attempt among those that wait or are dead. */
  problem: z.string().nullable(),
});
export type Webhook = z.infer<typeof webhook>;
export const webhookList = z.object({ webhooks: z.array(webhook) });
export const webhookRemoved = z.object({ name: z.string(), removed: z.boolean() });

const SECONDS_MAX = 30 * 86_400;

export const rollSecretRequest = z.strictObject({
  /** How long the older secret signs as well. */
  overlapSeconds: z.int().min(0).max(SECONDS_MAX).default(86_400),
});
export const rolledSecret = z.object({
  name: z.string(),
  /** `whsec_…`, shown once; null for ed25519. */
  secret: z.string().nullable(),
  /** `whpk_…`, for the receiver; null for HMAC. */
  publicKey: z.string().nullable(),
  olderValidUntil: z.number(),
});

export const webhookTest = z.object({
  delivered: z.boolean(),
  /** Of the answer; null where none came. */
  status: z.number().nullable(),
  problem: z.string().nullable(),
});

const deadLetter = z.object({
  /** The entry of the audit log. */
  index: z.number(),
  attempts: z.number(),
  createdAt: z.number(),
  attemptedAt: z.number().nullable(),
  problem: z.string().nullable(),
});
export const deadLetterQuery = z.strictObject({
  /** Those after this entry. */
  after: z.union([z.literal('').transform(() => -1), z.coerce.number().int().min(0)]).default(-1),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export const deadLetterList = z.object({ deadLetters: z.array(deadLetter), next: z.number().nullable() });

const letters = z.union([z.literal('all'), z.array(z.int().min(0)).min(1).max(500)]);
export const retryLettersRequest = z.strictObject({ letters });
export const dropLettersRequest = z.strictObject({ letters, reason: z.string().min(1).max(200) });
export const lettersDone = z.object({ letters: z.number() });
