// What a quote is bound to (TPM2_Quote qualifyingData): purpose, the verifier's nonce, and the subject of the evidence. The purpose is part
// of the hash, so a quote made for one use cannot be replayed in another; spec/evidence.md, "Qualifying data".
import { createHash } from 'node:crypto';
import { concat, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';

export const NONCE_LENGTH = 32;
const EXPORTER_LENGTH = 32;
const ASK_DIGEST_LENGTH = 32;
const SUBJECT_LENGTH = 32;

/**
 * `enroll`, `renew`, `recover`: an operational key is certified, bound = the 32 bytes of certify-subject.ts. `release`: a model key is
 * released, bound = the 32-byte TLS exporter. `bound-release`: as `release`, and bound is the exporter and the 32-byte digest of what is asked
 * for. `hybrid-key`: a device names its hybrid key, bound = the 32 bytes of hybrid-key-subject.ts. `state-recovery`: a device lost files of its
 * state, bound = the 32 bytes of state-recovery-subject.ts. `bind`: a connection is bound to the TPM, nonce = 32 zero bytes, bound = the exporter. `local`: a program on the device asked, bound is
 * empty; a local caller must never be able to get any other purpose. `certify`: of agents of the version before, in place of the first three;
 * bound = the DER SubjectPublicKeyInfo of the operational key.
 */
export type QualifyingPurpose =
  | 'enroll'
  | 'renew'
  | 'recover'
  | 'release'
  | 'bound-release'
  | 'hybrid-key'
  | 'state-recovery'
  | 'bind'
  | 'local'
  | 'certify';

const texts: Readonly<Record<QualifyingPurpose, string>> = {
  enroll: 'edgekeep-enroll-v2',
  renew: 'edgekeep-renew-v2',
  recover: 'edgekeep-recover-v2',
  release: 'edgekeep-release-v1',
  'bound-release': 'edgekeep-release-v2',
  'hybrid-key': 'edgekeep-hybrid-key-v1',
  'state-recovery': 'edgekeep-state-recovery-v1',
  bind: 'edgekeep-bind-v1',
  local: 'edgekeep-local-v1',
  certify: 'edgekeep-certify-v1',
};

/** The 32 bytes to quote over: SHA-256(utf8(text of the purpose) || 0x00 || nonce || bound). Throws `evidence-invalid` for lengths the purpose does not allow. */
export function qualifyingData(purpose: QualifyingPurpose, nonce: Uint8Array, bound: Uint8Array): Uint8Array {
  if (nonce.length !== NONCE_LENGTH) {
    throw new CoreError('evidence-invalid', `a nonce has ${NONCE_LENGTH} bytes, found ${nonce.length}`);
  }
  assertBound(purpose, nonce, bound);
  return createHash('sha256')
    .update(concat(utf8(texts[purpose]), Uint8Array.of(0), nonce, bound))
    .digest();
}

function assertBound(purpose: QualifyingPurpose, nonce: Uint8Array, bound: Uint8Array): void {
  switch (purpose) {
    case 'enroll':
    case 'renew':
    case 'recover':
    case 'hybrid-key':
    case 'state-recovery':
      return assertLength(purpose, bound, SUBJECT_LENGTH, 'digest of its subject');
    case 'certify':
      if (bound.length === 0)
        throw new CoreError('evidence-invalid', 'certify is bound to a public key, found nothing');
      return;
    case 'bind':
      if (nonce.some((byte) => byte !== 0)) throw new CoreError('evidence-invalid', 'bind takes a nonce of zero bytes');
      return assertLength(purpose, bound, EXPORTER_LENGTH, 'exporter');
    case 'release':
      return assertLength(purpose, bound, EXPORTER_LENGTH, 'exporter');
    case 'bound-release':
      if (bound.length === EXPORTER_LENGTH + ASK_DIGEST_LENGTH) return;
      throw new CoreError(
        'evidence-invalid',
        `${purpose} is bound to an exporter and a digest, found ${bound.length} bytes`,
      );
    case 'local':
      if (bound.length !== 0) throw new CoreError('evidence-invalid', 'local is bound to nothing, found bytes');
  }
}

function assertLength(purpose: QualifyingPurpose, bound: Uint8Array, length: number, what: string): void {
  if (bound.length !== length) {
    throw new CoreError(
      'evidence-invalid',
      `${purpose} is bound to a ${length}-byte ${what}, found ${bound.length} bytes`,
    );
  }
}
