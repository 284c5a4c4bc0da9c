// Schemas of bytes in messages: unpadded base64url of a limited length, SHA-256 in lower-case hex.
import { z } from 'zod';

export const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case');

export const base64url = (maxCharacters: number) =>
  z
    .string()
    .max(maxCharacters)
    .regex(/^[A-Za-z0-9_-]*$/);

/** Keys and credentials of a TPM, which are below 1 KiB. */
export const tpmBytes = base64url(1_400);

/** A certificate, which is below 4 KiB; one of ML-DSA-87 below 9 KiB. */
export const certificateBytes = base64url(12_000);

/** 32 bytes. */
export const nonceBytes = base64url(43);
