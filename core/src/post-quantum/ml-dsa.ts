// ML-DSA (FIPS 204), pure and with an empty context, as OpenSSL in Node computes it. A kind of key of its own: no reader of classical keys
// takes one by accident.
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { concat, equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';

export type MlDsaKind = 'ml-dsa-44' | 'ml-dsa-65';

/** Bytes, and the header of the SubjectPublicKeyInfo (RFC 9881): everything before the key. */
const forms = {
  'ml-dsa-44': { publicKey: 1312, signature: 2420, header: '30820532300b06096086480165030403110382052100' },
  'ml-dsa-65': { publicKey: 1952, signature: 3309, header: '308207b2300b0609608648016503040312038207a100' },
} as const;

export interface MlDsaSigner {
  readonly kind: MlDsaKind;
  readonly publicKey: KeyObject;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** A signer over a private key in this process's memory; throws `key-invalid` for a key of another kind. */
export function mlDsaSigner(privateKey: KeyObject, kind: MlDsaKind): MlDsaSigner {
  assertKind(privateKey, kind);
  const publicKey = createPublicKey(privateKey);
  return { kind, publicKey, sign: async (message) => sign(null, message, privateKey) };
}

/** Whether this is the key's signature over the message. A key of another kind throws `key-invalid`. */
export function verifyMlDsa(
  kind: MlDsaKind,
  publicKey: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  assertKind(publicKey, kind);
  return signature.length === forms[kind].signature && verify(null, message, publicKey, signature);
}

/** The bytes of the key, as FIPS 204 encodes it. */
export function rawMlDsaKey(kind: MlDsaKind, publicKey: KeyObject): Uint8Array {
  assertKind(publicKey, kind);
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(-forms[kind].publicKey);
}

/** The key of these bytes; throws `key-invalid` for another length. Any bytes of that length are a key. */
export function mlDsaKeyOf(kind: MlDsaKind, raw: Uint8Array): KeyObject {
  if (raw.length !== forms[kind].publicKey) {
    throw new CoreError('key-invalid', `an ${kind} key has ${forms[kind].publicKey} bytes, not ${raw.length}`);
  }
  const spki = concat(Buffer.from(forms[kind].header, 'hex'), raw);
  return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
}

/** The key in a SubjectPublicKeyInfo; throws `key-invalid` for another kind and for another form. */
export function mlDsaKeyOfSpki(kind: MlDsaKind, spki: Uint8Array): KeyObject {
  const header = Buffer.from(forms[kind].header, 'hex');
  if (!equalBytes(spki.subarray(0, header.length), header))
    throw new CoreError('key-invalid', `expected an ${kind} key in its canonical form`);
  return mlDsaKeyOf(kind, spki.subarray(header.length));
}

/** Bytes of a signature. */
export function mlDsaSignatureLength(kind: MlDsaKind): number {
  return forms[kind].signature;
}

function assertKind(key: KeyObject, kind: MlDsaKind): void {
  if (key.asymmetricKeyType !== kind) {
    throw new CoreError('key-invalid', `expected an ${kind} key, found ${key.asymmetricKeyType}`);
  }
}
