// The operator's messages about expected devices and blocked roots of trust (spec/registry.md, "Import"). Times are unix milliseconds.
import { z } from 'zod';
import { sha256Hex } from './bytes.ts';

const reason = z.string().min(1).max(200);

export const expectedDeviceList = z.object({
  expected: z.array(
    z.object({
      id: z.string(),
      rootSha256: z.string().nullable(),
      site: z.string().nullable(),
      importedAt: z.number(),
      enrolled: z.boolean(),
    }),
  ),
  next: z.string().nullable(),
});
export const expectedDeviceRemoved = z.object({ id: z.string(), removed: z.boolean() });

export const blockedRootList = z.object({
  blocked: z.array(z.object({ rootSha256: z.string(), reason: z.string(), blockedAt: z.number() })),
  next: z.string().nullable(),
});
export const blockRequest = z.strictObject({ rootSha256: sha256Hex, reason });
export const blockResponse = z.object({
  rootSha256: z.string(),
  blocked: z.boolean(),
  /** The device that has enrolled with it; the block does not change that device. */
  deviceId: z.string().nullable(),
});
export const unblockRequest = z.strictObject({ reason });
export const unblockResponse = z.object({ rootSha256: z.string(), blocked: z.boolean() });
