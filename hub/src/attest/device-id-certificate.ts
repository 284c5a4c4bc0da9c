// A DICE device's DeviceID certificate at enrollment (spec/dice.md): a path to a vendor that the operator trusts for DICE. The evidence
// that follows shows that the device has the key, and what runs on it.
import { type DiceTrust, validateDeviceId } from '@edgekeep/core/attest/dice/chain';
import { parseBase64url } from '@edgekeep/core/bytes';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { certificateDigests } from '@edgekeep/core/identity/certificate-identity';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';
import { sha256Hex } from '@edgekeep/core/digest';
import { HubError } from '../common/error.ts';
import type { MakerEvidence } from '../vendor-root/device-makers.ts';

export interface ProvenDeviceId {
  readonly makersWord: MakerEvidence;
  /** SHA-256 of the SPKI of every authority above the DeviceID, nearest first. */
  readonly authorities: readonly string[];
  /** Every digest by which the DeviceID certificate may be listed or blocked, hex; its identity first. */
  readonly digests: readonly string[];
}

type DiceDevice = Extract<DeviceIdentity, { kind: 'dice' }>;

/** The DeviceID certificate of a device whose description has one. */
export function deviceIdCertificateOf({ deviceIdCertificates: [first = ''] }: DiceDevice): Certificate {
  return parseForeignCertificate(parseBase64url(first, 'deviceIdCertificates'), 'the DeviceID certificate');
}

/** Throws `enrollment-refused` unless the first certificate is a DeviceID of a vendor trusted for DICE. */
export function proveDeviceId(identity: DiceDevice, trust: DiceTrust, nowMs: number): ProvenDeviceId {
  const sent = identity.deviceIdCertificates.map((text, at) =>
    parseForeignCertificate(parseBase64url(text, 'deviceIdCertificates'), `certificate ${at + 1} of the device`),
  );
  const verdict = validateDeviceId(sent, trust, Math.floor(nowMs / 1_000));
  if (verdict.kind === 'refused') {
    throw new HubError('enrollment-refused', 'the DeviceID certificate is not one of a maker trusted for DICE', {
      reasons: verdict.reasons,
    });
  }
  const { chain } = verdict;
  return {
    makersWord: { kind: 'dice', chain, judgedAtMs: nowMs, notes: [], anchorGroups: [] },
    authorities: verdict.chain.slice(1).map(({ spki }) => sha256Hex(spki)),
    digests: certificateDigests(deviceIdCertificateOf(identity)),
  };
}
