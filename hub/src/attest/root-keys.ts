// The keys of registered devices' roots of trust, parsed and kept: parsing a key costs more than using it once.
import { createHash, type KeyObject } from 'node:crypto';
import { type AttestationKey, attestationKeyOf } from '@edgekeep/core/attest/quote';
import { equalBytes, parseBase64url, toHex } from '@edgekeep/core/bytes';
import { publicKeyOf } from '@edgekeep/core/identity/certificate';
import { encodeSpki, parseSpki } from '@edgekeep/core/identity/public-key';
import { parseXwingPublicKey, type XwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import {
  assertListedAttestationKey,
  attestationKeyProfileOf,
  attestationKeyProblems,
} from '@edgekeep/core/tpm/attestation-key-profile';
import { parsePublic, publicKeyOf as publicKeyOfArea, type TpmPublic } from '@edgekeep/core/tpm/public-area';
import { type DeviceIdentity, deviceIdentitySchema } from '@edgekeep/wire/api/device';
import { LruMap } from 'toad-cache';
import { type WrapTarget, wrapTargetOf } from './wrap-target.ts';
import { HubError } from '../common/error.ts';
import type { DeviceRow } from '../store/tables/registry.ts';
import { deviceIdCertificateOf } from './device-id-certificate.ts';

// Devices seen recently; one takes about 12 KiB with its keys and what they were parsed from.
const DEVICES_MAX = 20_000;

type Registered = Pick<DeviceRow, 'id' | 'identity'>;

interface Known {
  readonly identity: string;
  readonly attestationKey: AttestationKey;
  readonly unlisted: string | undefined;
  /** Read when the device first gets a key. */
  wrapTarget: WrapTarget | undefined;
}

/**
 * The key that must have signed the evidence of a root of trust with this description; for a DICE device, the key that its chain must lead
 * to.
 */
export function attestationKeyFor(identity: DeviceIdentity): AttestationKey {
  if (identity.kind === 'tpm') return attestationKeyOf(attestationAreaOf(identity), 'endorsement');
  if (identity.kind === 'dice') return { publicKey: publicKeyOf(deviceIdCertificateOf(identity)) };
  return { publicKey: parseSpki(parseBase64url(identity.signingKey, 'signingKey')) };
}

function attestationAreaOf({ attestationKey }: Extract<DeviceIdentity, { kind: 'tpm' }>): TpmPublic {
  return parsePublic(parseBase64url(attestationKey, 'attestationKey'));
}

/** As `attestationKeyFor`, for a device that enrolls: the attestation key of a TPM must be of a listed profile. */
export function enrollingKeyFor(identity: DeviceIdentity): AttestationKey {
  if (identity.kind === 'tpm') assertListedAttestationKey(attestationAreaOf(identity));
  return attestationKeyFor(identity);
}

/** Why the attestation key of an enrolled device would not enroll now; undefined when it would. */
function unlistedKeyOf(identity: DeviceIdentity): string | undefined {
  if (identity.kind !== 'tpm') return undefined;
  const publicArea = attestationAreaOf(identity);
  return attestationKeyProfileOf(publicArea) === undefined ? attestationKeyProblems(publicArea).join('; ') : undefined;
}

/**
 * The identifier of the device's root of trust: SHA-256 of its SPKI, hex. Over the key alone: a public area has attributes that nothing
 * proves, and one TPM must not become two devices by changing them.
 */
export function rootDigestOf(identity: DeviceIdentity): string {
  return toHex(
    createHash('sha256')
      .update(encodeSpki(rootKeyOf(identity)))
      .digest(),
  );
}

function rootKeyOf(identity: DeviceIdentity): KeyObject {
  switch (identity.kind) {
    case 'tpm':
      return publicKeyOfArea(parsePublic(parseBase64url(identity.endorsementKey, 'endorsementKey')));
    case 'dice':
      return publicKeyOf(deviceIdCertificateOf(identity));
    case 'secure-element':
    case 'software':
      return parseSpki(parseBase64url(identity.signingKey, 'signingKey'));
  }
}

export class RootKeys {
  readonly #known = new LruMap<Known>(DEVICES_MAX);
  readonly #hybrid = new LruMap<{ readonly bytes: Uint8Array; readonly key: XwingPublicKey }>(DEVICES_MAX);

  /** The key that must have signed the device's evidence. */
  attestationKey(device: Registered): AttestationKey {
    return this.#of(device).attestationKey;
  }

  /** Why its attestation key would not enroll now; undefined when it would. A hub of the version before took more kinds. */
  unlistedKey(device: Registered): string | undefined {
    return this.#of(device).unlisted;
  }

  /** The key that model keys for the device are wrapped under. */
  wrapTarget(device: Registered): WrapTarget {
    const known = this.#of(device);
    known.wrapTarget ??= wrapTargetOf(identityOf(device));
    return known.wrapTarget;
  }

  /** The hybrid key of a device, parsed from the bytes that the store has now. */
  hybridKey(deviceId: string, bytes: Uint8Array): XwingPublicKey {
    const known = this.#hybrid.get(deviceId);
    if (known !== undefined && equalBytes(known.bytes, bytes)) return known.key;
    const key = parseXwingPublicKey(bytes);
    this.#hybrid.set(deviceId, { bytes, key });
    return key;
  }

  #of(device: Registered): Known {
    const { id, identity } = device;
    const known = this.#known.get(id);
    if (known !== undefined && known.identity === identity) return known;
    const parsed = identityOf(device);
    const read = {
      identity,
      attestationKey: attestationKeyFor(parsed),
      unlisted: unlistedKeyOf(parsed),
      wrapTarget: undefined,
    };
    this.#known.set(id, read);
    return read;
  }
}

/** Throws for devices that enrolled by EST or use tokens: they have no root of trust, and no key could sign their evidence. */
export function identityOf({ id, identity }: Registered): DeviceIdentity {
  const parsed = deviceIdentitySchema.safeParse(JSON.parse(identity));
  if (parsed.success) return parsed.data;
  throw new HubError('attestation-refused', `${id} is registered without a root of trust, so it cannot attest`);
}

/** The attestation key of a device with a TPM, TPMT_PUBLIC in base64url; null for any other. */
export function attestationKeyIn(identity: string): string | null {
  const parsed = deviceIdentitySchema.safeParse(JSON.parse(identity));
  return parsed.success && parsed.data.kind === 'tpm' ? parsed.data.attestationKey : null;
}
