// The messages about workloads: programs on a device with their own certificates (spec/workload.md). Bytes are unpadded base64url; times
// are Unix milliseconds for operators and Unix seconds for devices.
import { workloadNamePattern } from '@edgekeep/core/identity/spiffe-id';
import { z } from 'zod';
import { deviceIdSchema } from './device.ts';

export const workloadNameSchema = z.string().regex(workloadNamePattern);
const groupName = z.string().min(1).max(64);
const description = z.string().max(200);

/** The place: one device, or every device of a group. */
const target = { device: deviceIdSchema.optional(), group: groupName.optional() };
const oneTarget = ({ device, group }: { device?: string | undefined; group?: string | undefined }) =>
  (device === undefined) !== (group === undefined);
const oneTargetText = 'name a device or a group: one of the two';

export const workloadRequest = z
  .strictObject({ name: workloadNameSchema, description: description.default(''), ...target })
  .refine(oneTarget, oneTargetText);
export const workloadRemoval = z.strictObject(target).refine(oneTarget, oneTargetText);

export const declarationView = z.object({
  name: z.string(),
  device: z.string().nullable(),
  group: z.string().nullable(),
  description: z.string(),
  declaredAt: z.number(),
});
export type DeclarationView = z.infer<typeof declarationView>;
export const declarationList = z.object({ workloads: z.array(declarationView) });
export const workloadRemoved = z.object({ name: z.string(), certificatesRevoked: z.number() });

const deviceWorkloadView = z.object({
  name: z.string(),
  spiffeId: z.string(),
  /** `device`, or the groups that it is declared for; empty when it is no longer declared. */
  declaredFor: z.array(z.string()),
  enabled: z.boolean(),
  disabledReason: z.string().nullable(),
  /** Of the first certificate; null before it. */
  registeredAt: z.number().nullable(),
  /** The end of the newest valid certificate; null when there is none. */
  certificateNotAfter: z.number().nullable(),
});
export type DeviceWorkloadView = z.infer<typeof deviceWorkloadView>;
export const deviceWorkloadList = z.object({ workloads: z.array(deviceWorkloadView) });

export const workloadDisableRequest = z.strictObject({ reason: z.string().min(1).max(500) });
export const workloadSwitched = z.object({
  deviceId: z.string(),
  name: z.string(),
  enabled: z.boolean(),
  certificatesRevoked: z.number(),
});
export const workloadHistory = z.object({
  changes: z.array(
    z.object({
      logIndex: z.number(),
      at: z.number(),
      change: z.string(),
      reason: z.string(),
      actor: z.string(),
    }),
  ),
});

/** DER PKCS#10: only the key that it proves is used. */
export const workloadCertificateRequest = z.strictObject({
  certificateRequest: z
    .string()
    .min(1)
    .max(22_000)
    .regex(/^[A-Za-z0-9_-]+$/),
});
export const workloadCertificateResponse = z.object({
  spiffeId: z.string(),
  /** PEM, leaf first, without the root. */
  certificateChain: z.string(),
  /** PEM: the roots for verifying others of the trust domain. */
  trustBundle: z.string(),
});

/** The identity behind a connection's certificate, as the hub sees it. */
export const whoAmI = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('device'), deviceId: z.string(), bound: z.boolean(), notAfter: z.number() }),
  z.object({
    kind: z.literal('workload'),
    spiffeId: z.string(),
    deviceId: z.string(),
    workload: z.string(),
    notAfter: z.number(),
  }),
]);
