// The error codes and settings of `workload`.
import { isTrustDomain } from '@edgekeep/core/identity/spiffe-id';
import { z } from 'zod';

export const workloadErrorCodes = {
  'workload-refused': 403,
} as const;

export const workloadSettings = {
  workloads: z
    .strictObject({
      /** The trust domain of SPIFFE IDs: a name that no other domain uses. */
      trustDomain: z
        .string()
        .refine(isTrustDomain, 'expected a-z, 0-9, dot, dash, underscore')
        .default('edgekeep.local'),
      /** Life of a workload's certificate, in seconds. */
      certificateSeconds: z.int().min(60).max(604_800).default(14_400),
    })
    .prefault({}),
};
