// The messages about the audit log (spec/audit-log.md): entries and proofs for operators, checkpoints for devices that witness it.
import { NOTE_BYTES_MAX } from '@edgekeep/core/audit/note';
import { whenUnmetChoices } from '@edgekeep/core/access/trust';
import { tierSchema } from '@edgekeep/core/attest/tier';
import { z } from 'zod';

export const auditList = z.object({
  size: z.number(),
  entries: z.array(
    z.object({
      index: z.number(),
      at: z.number(),
      kind: z.string(),
      actor: z.string(),
      subject: z.string(),
      data: z.unknown(),
    }),
  ),
});

/** A C2SP tlog-proof of one entry, and the entry's bytes. */
export const auditProof = z.object({ index: z.number(), entry: z.string(), proof: z.string() });

/** A checkpoint, an entry in base64url, and the path from the entry to the checkpoint, base64 hashes. */
const logPart = z.object({ checkpoint: z.string().max(NOTE_BYTES_MAX), entry: z.string(), proof: z.array(z.string()) });

export const checkpointResponse = z.object({
  /** The signed note. */
  checkpoint: z.string(),
  /** Consistency proof from the requested size, base64 hashes. */
  consistency: z.array(z.string()),
  /** Only when asked for: every hand-over of the log, oldest first (spec/audit-log.md, "Hand-over"). */
  handOvers: z
    .array(
      z.object({
        /** Verifier keys. */
        former: z.string(),
        next: z.string(),
        end: logPart,
        begin: logPart.extend({ consistency: z.array(z.string()) }),
      }),
    )
    .max(64)
    .optional(),
});

export const cosignatureRequest = z.strictObject({
  /** The checkpoint's signed note with this device's cosignature line added. */
  checkpoint: z.string().max(NOTE_BYTES_MAX),
});

export const cosignatureResponse = z.object({ accepted: z.boolean() });

/** Entries of the audit log with the calling device as subject or actor, from an index on. */
export const ownEntries = z.object({
  entries: z.array(z.object({ index: z.number(), entry: z.string() })),
  next: z.number().nullable(),
});

/** The next witness policy (spec/audit-log.md, "Witness policy"). */
export const witnessPolicyRequest = z.strictObject({
  quorum: z.int().min(0).max(1_000),
  tiers: z.array(tierSchema).max(4),
  whenUnmet: z.enum(whenUnmetChoices),
  /** C2SP tlog-policy, in which the name `fleet` is defined; null: `quorum fleet`. */
  text: z.string().max(32_768).nullable(),
});

export const witnessPolicyView = witnessPolicyRequest.extend({
  /** 0: the settings. */
  version: z.number(),
  digest: z.string(),
  /** How many independent witnesses the fleet has now; at most as many as the quorum. */
  available: z.number(),
});

const publicWitness = z.object({
  /** In its verifier key. */
  name: z.string(),
  /** The submission prefix. */
  url: z.string(),
  /** The largest tree of which the hub has its line. */
  cosignedSize: z.number(),
  /** Unix milliseconds; null before the first time. */
  cosignedAt: z.number().nullable(),
  askedAt: z.number().nullable(),
  /** In a row. */
  failures: z.number(),
  /** What the last one was; null when it does not fail. */
  problem: z.string().nullable(),
  /** Not before; null: at the next checkpoint that is open for cosignatures. */
  nextAt: z.number().nullable(),
});

export type PublicWitnessView = z.infer<typeof publicWitness>;

/** The public witnesses of the settings (spec/audit-log.md, "Public witnesses"). */
export const publicWitnessList = z.object({ witnesses: z.array(publicWitness) });

/** The trust file (spec/receipt.md, "Trust file"); core/src/access/trust.ts reads it. */
export const trustFileText = z.looseObject({ type: z.literal('edgekeep-trust/v2') });

/** The long form of a receipt (spec/receipt.md, "The long form"); core/src/access reads it. */
export const longReceiptText = z.looseObject({ type: z.string() });
