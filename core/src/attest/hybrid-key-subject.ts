// What evidence for a hybrid key is about (spec/evidence.md, "Naming a hybrid key"): as for an operational key, the hub, the device with all its keys,
// and the connection.
import { createHash } from 'node:crypto';
import { toBase64url } from '../bytes.ts';
import { encodeCanonicalJson } from '../json.ts';
import type { CertifySubject } from './certify-subject.ts';
import { qualifyingData } from './qualifying-data.ts';

/** `type` of the document behind evidence for a hybrid key. */
const hybridKeyType = 'edgekeep-hybrid-key/v1';

export interface HybridKeySubject extends Omit<CertifySubject, 'witnessKey' | 'operationalSpki'> {
  /** The public key (spec/hpke.md, "The hybrid suite"). */
  readonly hybridKey: Uint8Array;
}

/** The 32 bytes that evidence for a hybrid key covers. */
export function hybridKeyQualifyingData(nonce: Uint8Array, subject: HybridKeySubject): Uint8Array {
  const { hub, deviceId, keys, hybridKey, exporter } = subject;
  const document = encodeCanonicalJson({
    type: hybridKeyType,
    hub,
    deviceId,
    keys,
    hybridKey: toBase64url(hybridKey),
    exporter: toBase64url(exporter),
  });
  return qualifyingData('hybrid-key', nonce, createHash('sha256').update(document).digest());
}
