// What a quote is bound to (TPM2_Quote qualifyingData): purpose, the verifier's nonce, and the subject of the evidence. The purpose is part
// of the hash, so a quote made for one use cannot be replayed in another; spec/evidence.md, "Qualifying data".
import { createHash } from 'node:crypto';
import { concat, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';

export const NONCE_LENGTH = 32;
const EXPORTER_LENGTH = 32;

/**
 * `certify`: an operational key is certified, bound = its DER SubjectPublicKeyInfo. `release`: a model key is released, bound = the 32-byte
 * TLS exporter. `bind`: a connection is bound to the TPM, nonce = 32 zero bytes, bound = the exporter. `local`: a program on the device
 * asked, bound is empty; a local caller must never be able to get any other purpose.
 */
export type QualifyingPurpose = 'certify' | 'release' | 'bind' | 'local';

/** The 32 bytes to quote over: SHA-256(utf8('edgekeep-' + purpose + '-v1') || 0x00 || nonce || bound). Throws `evidence-invalid` for lengths the purpose does not allow. */
export function qualifyingData(purpose: QualifyingPurpose, nonce: Uint8Array, bound: Uint8Array): Uint8Array {
  if (nonce.length !== NONCE_LENGTH) {
    throw new CoreError('evidence-invalid', `a nonce has ${NONCE_LENGTH} bytes, found ${nonce.length}`);
  }
  assertBound(purpose, nonce, bound);
  return createHash('sha256')
    .update(concat(utf8(`edgekeep-${purpose}-v1`), Uint8Array.of(0), nonce, bound))
    .digest();
}

function assertBound(purpose: QualifyingPurpose, nonce: Uint8Array, bound: Uint8Array): void {
  switch (purpose) {
    case 'certify':
      if (bound.length === 0)
        throw new CoreError('evidence-invalid', 'certify is bound to a public key, found nothing');
      return;
    case 'bind':
      if (nonce.some((byte) => byte !== 0)) throw new CoreError('evidence-invalid', 'bind takes a nonce of zero bytes');
      return assertExporter(purpose, bound);
    case 'release':
      return assertExporter(purpose, bound);
    case 'local':
      if (bound.length !== 0) throw new CoreError('evidence-invalid', 'local is bound to nothing, found bytes');
  }
}

function assertExporter(purpose: QualifyingPurpose, bound: Uint8Array): void {
  if (bound.length !== EXPORTER_LENGTH) {
    throw new CoreError(
      'evidence-invalid',
      `${purpose} is bound to a ${EXPORTER_LENGTH}-byte exporter, found ${bound.length} bytes`,
    );
  }
}
