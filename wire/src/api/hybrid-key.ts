// The messages of a device that names its hybrid key (spec/enrollment.md, "The hybrid key"), and of operators who have it forgotten. Bytes are
// unpadded base64url.
import { evidenceSchema } from '@edgekeep/core/attest/evidence';
import { z } from 'zod';
import { base64url } from './bytes.ts';

export const hybridKeyChallengeRequest = z.strictObject({
  /** 1216 bytes: ML-KEM-768, then X25519. */
  key: base64url(1_622),
});

/** A secret that opens with the key: HPKE in mode base, `info` names the device. */
export const hybridKeyChallengeResponse = z.object({
  encapsulatedKey: base64url(1_494),
  ciphertext: base64url(200),
});

export const hybridKeyRequest = z.strictObject({
  /** The opened secret. */
  secret: base64url(100),
  /** Over hybridKeyQualifyingData, with the nonce of POST /v1/challenges. */
  evidence: evidenceSchema,
});

/** SHA-256 of the key that the hub has now, hex. */
export const hybridKeyResponse = z.object({ sha256: z.string() });

/** What an operator's order to forget a hybrid key answers. */
export const hybridKeyForgotten = z.object({
  deviceId: z.string(),
  /** Of the key, hex. */
  sha256: z.string(),
  connectionsClosed: z.number(),
  /** Groups of the device that require post-quantum protection: while it is in one it gets no key without a hybrid key. */
  requiredBy: z.array(z.string()),
});
