// The error codes, scopes and settings of `audit`.
import { whenUnmetChoices } from '@edgekeep/core/access/trust';
import { parseVerifierKey } from '@edgekeep/core/audit/note';
import { CoreError } from '@edgekeep/core/error';
import { tierSchema } from '@edgekeep/core/attest/tier';
import { webAddressSchema } from '@edgekeep/wire/api/texts';
import { z } from 'zod';

function isCosigner(text: string): boolean {
  try {
    return parseVerifierKey(text).type === 'cosignature-v1';
  } catch (error) {
    if (error instanceof CoreError) return false;
    throw error;
  }
}

export const auditErrorCodes = {
  'witness-behind': 409,
  'cosignature-refused': 422,
  'log-rewritten': 500,
  'state-refused': 500,
} as const;

export const auditScopes = ['audit:read'] as const;

export const auditSettings = {
  /** The transparency log's origin line (C2SP tlog-checkpoint): a name that no other log uses. */
  logOrigin: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[^\s+]+$/)
    .default('edgekeep.local/log'),
  /** Whether the log signs its checkpoints by ML-DSA-44 as well. */
  logPostQuantum: z.boolean().default(false),
  witness: z
    .strictObject({
      /** How many independent devices must have cosigned a checkpoint for it to count as witnessed. The receiver of a key does not count. */
      quorum: z.int().min(0).max(1_000).default(1),
      /** The tiers of devices that count as witnesses. */
      tiers: z.array(tierSchema).max(4).default(['dice', 'secure-element', 'tpm']),
      /** What follows when the fleet cannot meet this: keys with receipts that are named weaker, or no keys. There is an alert in both cases. */
      whenUnmet: z.enum(whenUnmetChoices).default('name-weaker'),
      /** How long one checkpoint waits for its quorum before the next is offered, in seconds. */
      roundSeconds: z.int().min(1).max(86_400).default(60),
      /** Public witnesses (C2SP tlog-witness) that the hub asks for cosignatures. */
      public: z
        .array(
          z.strictObject({
            /** The submission prefix, without a slash at its end. */
            url: webAddressSchema(['https'], 500).refine((url) => !/[/?#]$/.test(url), 'expected no slash at its end'),
            /** Its verifier key: `name+id+key`. */
            key: z.string().max(4_096).refine(isCosigner, 'expected the verifier key of a cosigner'),
            /** PEM of the certificates that are trusted for it; null: the public ones. */
            trustedPem: z.string().max(65_536).nullable().default(null),
          }),
        )
        .max(16)
        .prefault([]),
    })
    .prefault({}),
  securityState: z
    .strictObject({
      /** How often the rows that decide are compared with the log, and the log with its checkpoint, in seconds. */
      checkSeconds: z.int().min(10).max(86_400).default(3_600),
      /** After how many entries of the log the next one with the digest of the whole state is written at the latest. */
      maxEntries: z.int().min(1_000).max(1_000_000).default(100_000),
    })
    .prefault({}),
};
