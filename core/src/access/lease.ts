// A lease: the right of one device to hold the key of one model version until a time (spec/receipt.md, "Lease").
import { z } from 'zod';
import { deviceIdPattern } from '../identity/device-id.ts';
import { modelNamePattern, modelVersionPattern } from '../model/manifest.ts';

/** A longer lease would make no sense: a device that never asks again cannot be revoked. */
const LEASE_SECONDS_MAX = 366 * 86_400;

export const leaseSchema = z
  .strictObject({
    id: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/),
    deviceId: z.string().regex(deviceIdPattern),
    model: z.string().regex(modelNamePattern),
    version: z.string().max(128).regex(modelVersionPattern),
    /** SHA-256 of the model manifest, hex: it fixes the exact files. */
    manifestDigest: z.string().regex(/^[0-9a-f]{64}$/),
    /** Unix seconds; the start of the lease. */
    notBefore: z.int().nonnegative(),
    /** Unix seconds; from here on the key must be wiped. */
    notAfter: z.int().nonnegative(),
    /** Unix seconds; from here on the device asks for the next lease. */
    renewAfter: z.int().nonnegative(),
  })
  .refine(
    ({ notBefore, renewAfter, notAfter }) => notBefore <= renewAfter && renewAfter < notAfter,
    'expected notBefore <= renewAfter < notAfter',
  )
  .refine(({ notBefore, notAfter }) => notAfter - notBefore <= LEASE_SECONDS_MAX, 'longer than a year');

export type Lease = Readonly<z.infer<typeof leaseSchema>>;

export type LeaseState = 'not-yet' | 'held' | 'to-renew' | 'expired';

/** The status of a lease at a time, Unix seconds. The end does not belong to the lease: at `notAfter` it is over. */
export function leaseState({ notBefore, renewAfter, notAfter }: Lease, nowSeconds: number): LeaseState {
  if (nowSeconds < notBefore) return 'not-yet';
  if (nowSeconds >= notAfter) return 'expired';
  return nowSeconds >= renewAfter ? 'to-renew' : 'held';
}
