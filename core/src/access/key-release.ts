// The audit entry of a key release: the one record that joins device, boot state, model, policy and lease (spec/receipt.md).
import { z } from 'zod';
import { tierSchema } from '../attest/tier.ts';
import type { AuditEvent } from '../audit/entry.ts';
import { deviceIdPattern } from '../identity/device-id.ts';
import { parseValue } from '../json.ts';
import { modelNamePattern, modelVersionPattern } from '../model/manifest.ts';
import { leaseSchema } from './lease.ts';
import { releaseEvidenceSchema } from './release-evidence.ts';
import { hybridSuite } from '../identity/hybrid-hpke.ts';
import { hybridWrapType, wrapTypes } from './wrap-context.ts';

export const keyReleasedKind = 'key-released';

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

export const keyReleaseSchema = z.strictObject({
  /** `certificate` is the SHA-256 of the operational certificate's DER. */
  device: z.strictObject({ id: z.string().regex(deviceIdPattern), tier: tierSchema, certificate: sha256Hex }),
  model: z.strictObject({
    name: z.string().regex(modelNamePattern),
    version: z.string().max(128).regex(modelVersionPattern),
    manifestDigest: sha256Hex,
  }),
  /** The policy version that decided: its name and the SHA-256 of its text. */
  policy: z.strictObject({ name: z.string().min(1).max(128), digest: sha256Hex }),
  lease: leaseSchema,
  /** SHA-256 of the attestation result's text. */
  attestationResult: sha256Hex,
  /** `type` of the wrapped key; left out: of the form before, bound to the lease's id at most. */
  wrap: z.enum(wrapTypes).optional(),
  /** The hybrid KEM of the second layer; with `wrap` v3, and with no other. */
  suite: z.literal(hybridSuite).optional(),
  /** The digests of the evidence behind the result: in entries of receipts of version 2, and in no older ones. */
  evidence: releaseEvidenceSchema.optional(),
  /** The publisher's release policy: its digest, and which of its makers and groups the device has. Left out where the manifest has none. */
  releasePolicy: z
    .strictObject({ digest: sha256Hex, maker: sha256Hex.optional(), group: z.string().min(1).max(64).optional() })
    .optional(),
  /**
   * The witness policy in force, by the SHA-256 of its document, and whether the fleet could meet it for this receiver. Left out with
   * `evidence`.
   */
  witnessing: z.strictObject({ policy: sha256Hex, reachable: z.boolean() }).optional(),
});

export type KeyRelease = Readonly<z.infer<typeof keyReleaseSchema>>;

/** The entry's members except `type`; the subject is the device. Throws `audit-entry-invalid` when the release contradicts itself. */
export function keyReleasedEntry(release: KeyRelease, atMs: number, actor: string): AuditEvent {
  const data = parseValue(release, keyReleaseSchema, 'key release', 'audit-entry-invalid');
  return { at: atMs, kind: keyReleasedKind, actor, subject: `device:${data.device.id}`, data };
}

/** The contradiction in a release: the lease must be of this device and this model, and valid when it was given. */
export function releaseContradictions(release: KeyRelease, atMs: number): readonly string[] {
  const { device, model, lease, wrap, suite } = release;
  const reasons: string[] = [];
  if ((suite !== undefined) !== (wrap === hybridWrapType))
    reasons.push(`the key was wrapped as ${wrap ?? 'before'}, and the entry names ${suite ?? 'no hybrid suite'}`);
  if (lease.deviceId !== device.id) reasons.push(`the lease is of device ${lease.deviceId}, the entry of ${device.id}`);
  if (lease.model !== model.name || lease.version !== model.version || lease.manifestDigest !== model.manifestDigest) {
    reasons.push(`the lease is of ${lease.model} ${lease.version}, the entry of ${model.name} ${model.version}`);
  }
  const atSeconds = Math.floor(atMs / 1000);
  if (atSeconds < lease.notBefore || atSeconds >= lease.notAfter) {
    reasons.push(`the lease is not valid at the moment of the release`);
  }
  return reasons;
}
