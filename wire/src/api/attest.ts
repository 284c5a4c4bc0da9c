// The messages of a device that proves its boot: on a new connection, to a challenge, and long IMA logs in pieces (spec/evidence.md).
import { evidenceSchema } from '@edgekeep/core/attest/evidence';
import { IMA_PIECE_BYTES_MAX } from '@edgekeep/core/attest/ima-log';
import { z } from 'zod';
import { base64url, nonceBytes } from './bytes.ts';
import { deviceIdSchema } from './device.ts';
import { deviceStateWord } from './words.ts';

export const bindRequest = z.strictObject({
  /** Over qualifyingData('bind', zero nonce, TLS exporter). */
  evidence: evidenceSchema,
});

/** How much of this device's IMA log the hub has appraised, and in which boot: it needs only the rest (spec/evidence.md). */
const imaLogKnown = z.object({ entries: z.int().min(1), resetCount: z.int(), restartCount: z.int() });

export type ImaLogKnown = z.infer<typeof imaLogKnown>;

export const bindResponse = z.object({
  /** Into which PCR the device measures its stages from its next boot on; left out: the present one. */
  stagePcr: z.int().min(14).max(15).optional(),
  deviceId: deviceIdSchema,
  state: deviceStateWord,
  /**
   * What the hub makes of this evidence; its nonce is the evidence's qualifying data. Left out by a hub of the version before, and where the policy does
   * not permit the device to attest. A device of the version before passes over it.
   */
  attestationResult: z.string().optional(),
  imaLog: imaLogKnown.optional(),
  /**
   * SHA-256 of the device's hybrid key as the hub knows it, hex; empty where it knows none. Left out by a hub of the version before, which wraps
   * for no such key.
   */
  hybridKey: z
    .string()
    .regex(/^(?:[0-9a-f]{64})?$/)
    .optional(),
});

export const challengeResponse = z.object({
  nonce: nonceBytes,
  pcrs: z.array(z.int().min(0).max(23)),
  expiresInSeconds: z.int(),
  imaLog: imaLogKnown.optional(),
});

/** A piece of an IMA log that is too long for evidence; the evidence that follows on this connection carries the rest. */
export const imaLogRequest = z.strictObject({
  /** How many entries come before this piece. */
  from: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  log: base64url(Math.ceil((IMA_PIECE_BYTES_MAX * 4) / 3)),
});

export const imaLogResponse = z.object({ entries: z.int() });

export const attestRequest = z.strictObject({ evidence: evidenceSchema });

export const attestResponse = z.object({ attestationResult: z.string(), state: deviceStateWord });
