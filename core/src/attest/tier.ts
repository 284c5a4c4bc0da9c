// The strength of the root of trust behind a verdict, strongest first. A verdict always carries its tier, so a policy can require hardware
// and a screen never shows a software device as if a chip had vouched for it.
import { z } from 'zod';

export const tiers = ['tpm', 'secure-element', 'dice', 'software'] as const;

/** `tpm`: TPM 2.0 quote; `secure-element`: PKCS#11 or similar key; `dice`: layered certificates; `software`: a key in a file. */
export type Tier = (typeof tiers)[number];

export const tierSchema = z.enum(tiers);
