// The key and signature files of tpm2-tools: a public area or PEM, and a signature in the `tss` or `plain` form.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { assertAttestationKey } from '@edgekeep/core/attest/quote';
import { CoreError } from '@edgekeep/core/error';
import { canonicalKey } from '@edgekeep/core/identity/public-key';
import { ecdsaDerToRaw } from '@edgekeep/core/jws';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import { encodeTpmSignature, parseTpmSignature } from '@edgekeep/core/tpm/signature';

/** The public key of a PEM file, or of a TPM2B_PUBLIC or TPMT_PUBLIC, which must be an attestation key. */
export function readAttestationKey(bytes: Uint8Array): KeyObject {
  if (isPem(bytes)) {
    try {
      return canonicalKey(createPublicKey(Buffer.from(bytes).toString('latin1')));
    } catch (cause) {
      throw new CoreError('key-invalid', 'the key file is not a PEM public key', { cause });
    }
  }
  const publicArea = parsePublic(bytes);
  assertAttestationKey(publicArea);
  return publicKeyOf(publicArea);
}

export function isPem(bytes: Uint8Array): boolean {
  return Buffer.from(bytes).toString('latin1').startsWith('-----BEGIN ');
}

/** A TPMT_SIGNATURE, from the `tss` form as it is or from the `plain` form, which names no hash: SHA-256 is taken, the tools' default. */
export function readSignature(bytes: Uint8Array, key: KeyObject): Uint8Array {
  try {
    parseTpmSignature(bytes);
    return bytes;
  } catch (error) {
    const plain = plainSignature(bytes, key);
    if (plain === undefined) throw error;
    return plain;
  }
}

/** Octets of a number on each curve that attestation keys have. */
const fieldSizes: Readonly<Record<string, number>> = { prime256v1: 32, secp384r1: 48, secp521r1: 66 };

function plainSignature(bytes: Uint8Array, key: KeyObject): Uint8Array | undefined {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'rsa' && bytes.length * 8 === details?.modulusLength) {
    return encodeTpmSignature({ kind: 'rsassa', hash: 'sha256', signature: bytes });
  }
  if (key.asymmetricKeyType === 'ec' && bytes[0] === 0x30) {
    const size = fieldSizes[details?.namedCurve ?? ''];
    if (size === undefined) return undefined;
    const raw = ecdsaDerToRaw(bytes, size);
    return encodeTpmSignature({ kind: 'ecdsa', hash: 'sha256', r: raw.subarray(0, size), s: raw.subarray(size) });
  }
  return undefined;
}
