// A test device that says which files of its state it lost, honestly or not.
import { evidenceDocument } from '@edgekeep/core/attest/evidence';
import {
  type LostFile,
  stateRecoveryQualifyingData,
  type StateRecoverySubject,
} from '@edgekeep/core/attest/state-recovery-subject';
import { identityKeys } from '@edgekeep/wire/api/device';
import type { Answer } from './answer.ts';
import type { DeviceLink } from './device-link.ts';
import { type TestDevice, testOrigin } from './test-device.ts';

export interface StateRecoveryChanges {
  readonly lost?: readonly LostFile[];
  /** Left out: the key that the device enrolled with. */
  readonly witnessKey?: string;
  /** What the evidence covers in place of what is sent. */
  readonly subject?: Partial<StateRecoverySubject>;
}

const versionsDamaged: readonly LostFile[] = [{ file: 'versions', how: 'damaged' }];

/** The request. */
export async function stateRecoveryProof(
  device: TestDevice,
  { nonce, exporter }: { readonly nonce: Uint8Array; readonly exporter: Uint8Array },
  { lost = versionsDamaged, witnessKey = device.witnessKey, subject: covered = {} }: StateRecoveryChanges = {},
): Promise<object> {
  const keys = identityKeys(await device.identity());
  const subject = { hub: testOrigin, deviceId: device.id, keys, lost, witnessKey, exporter, ...covered };
  const evidence = await device.signedEvidence(stateRecoveryQualifyingData(nonce, subject));
  return { lost, witnessKey, evidence: evidenceDocument(evidence) };
}

export async function askForState(
  device: TestDevice,
  link: DeviceLink,
  changes?: StateRecoveryChanges,
): Promise<Answer> {
  const asked = { nonce: await link.challenge(), exporter: link.exporter };
  return link.ask('POST', '/v1/state-recovery', await stateRecoveryProof(device, asked, changes));
}
