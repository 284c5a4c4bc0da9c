// The operator's messages about blocked addresses (spec/api.md, "Addresses"). Times are unix milliseconds.
import { z } from 'zod';

const network = z.string().min(2).max(64);
const reason = z.string().min(1).max(200);

export const blockAddressRequest = z.strictObject({
  /** An address or a network: `203.0.113.9`, `203.0.113.0/24`, `2001:db8::/48`. An IPv6 address means its /64. */
  network,
  reason,
  /** How long. */
  seconds: z.int().min(60).max(31_536_000).default(86_400),
});
export const unblockAddressRequest = z.strictObject({ network, reason });

export const blockedAddress = z.object({
  network: z.string(),
  reason: z.string(),
  blockedBy: z.string(),
  blockedAt: z.number(),
  expiresAt: z.number(),
});
export const blockedAddressList = z.object({ blocked: z.array(blockedAddress), next: z.string().nullable() });
export const unblockedAddress = z.object({ network: z.string(), blocked: z.boolean() });
