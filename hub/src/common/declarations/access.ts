// The error codes, scopes and settings of `access`.
import { z } from 'zod';

export const accessErrorCodes = {
  'bind-refused': 403,
  'release-refused': 403,
  'access-refused': 403,
  'post-quantum-required': 403,
  'policy-refused': 422,
} as const;

export const accessScopes = ['policy:write'] as const;

export const accessSettings = {
  /** Life of a key lease, in seconds. */
  leaseSeconds: z.int().min(5).max(2_592_000).default(3_600),
  lease: z
    .strictObject({
      /** Who ends a lease on a device with a TPM: the TPM itself, or only the agent. */
      enforcedBy: z.enum(['tpm', 'agent']).default('tpm'),
      /** How many keys of one model one device may get in a window, in addition to those for its renewals. */
      maxPerWindow: z.int().min(1).max(1_000_000).default(30),
      /** The length of that window, in seconds. */
      windowSeconds: z.int().min(10).max(604_800).default(3_600),
    })
    .prefault({}),
  access: z
    .strictObject({
      /** Whether root operations need two people: 'auto' once two have held the scope admin, 'on' from the first day, 'off' never. */
      twoPeople: z.enum(['auto', 'on', 'off']).default('auto'),
      /** How long a request waits for its second person, in seconds. */
      approvalSeconds: z.int().min(60).max(604_800).default(3_600),
      /** How many devices or certificates one person may revoke in one request. */
      maxRevokedAlone: z.int().min(0).max(10_000).default(100),
      /** The longest life of an enrollment token that one person may make where root operations need two people, in days. */
      enrollmentAloneDays: z.int().min(0).max(365).default(7),
      /** How many decisions of the access policy are kept for testing drafts; 0 keeps none. */
      decisionsKept: z.int().min(0).max(1_000_000).default(10_000),
      /** Groups whose devices get no connection and no key where the key exchange or the wrap of the key is not post-quantum. */
      requirePostQuantum: z.array(z.string().min(1).max(64)).max(100).default([]),
      /** How often the policy is asked again about live connections, in seconds, where it uses facts that change without a request. */
      recheckSeconds: z.int().min(1).max(3_600).default(10),
    })
    .prefault({}),
};
