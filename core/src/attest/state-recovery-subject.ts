// What evidence of a device that lost files of its state is about (spec/evidence.md, "Lost files"): as for a hybrid key, the hub, the device with
// all its keys, and the connection; with it, what was lost, and the witness key from now on.
import { createHash } from 'node:crypto';
import { toBase64url } from '../bytes.ts';
import { encodeCanonicalJson } from '../json.ts';
import type { CertifySubject } from './certify-subject.ts';
import { qualifyingData } from './qualifying-data.ts';

/** `type` of the document behind the evidence. */
const stateRecoveryType = 'edgekeep-state-recovery/v1';

/** The files of a state folder whose loss a device reports. */
export const lostFileNames = [
  'checkpoint',
  'versions',
  'witness-key',
  'enrolled',
  'enrolled-tpm',
  'log-end',
  'known-roots',
  'known-keys',
  'hybrid-key',
] as const;
export type LostFileName = (typeof lostFileNames)[number];

/** `missing`: it is not there. `damaged`: neither it nor its second copy can be read. */
export const lostFileWays = ['missing', 'damaged'] as const;

export interface LostFile {
  readonly file: LostFileName;
  readonly how: (typeof lostFileWays)[number];
}

export interface StateRecoverySubject extends Omit<CertifySubject, 'witnessKey' | 'operationalSpki'> {
  readonly lost: readonly LostFile[];
  readonly witnessKey: string;
}

/** The 32 bytes that the evidence covers. */
export function stateRecoveryQualifyingData(nonce: Uint8Array, subject: StateRecoverySubject): Uint8Array {
  const { hub, deviceId, keys, lost, witnessKey, exporter } = subject;
  const document = encodeCanonicalJson({
    type: stateRecoveryType,
    hub,
    deviceId,
    keys,
    lost: lost.map(({ file, how }) => ({ file, how })),
    witnessKey,
    exporter: toBase64url(exporter),
  });
  return qualifyingData('state-recovery', nonce, createHash('sha256').update(document).digest());
}
