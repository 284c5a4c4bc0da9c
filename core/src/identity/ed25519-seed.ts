// Ed25519 keys from their 32 bytes (RFC 8032): a seed that was derived, and a public key without its SPKI (RFC 8410).
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { concat } from '../bytes.ts';
import { CoreError } from '../error.ts';

export const ed25519Length = 32;
// RFC 8410: what comes before the 32 bytes.
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** The private key; the caller zeroes the seed. */
export function ed25519FromSeed(seed: Uint8Array): KeyObject {
  assertLength(seed);
  const der = Buffer.concat([pkcs8Prefix, seed]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

/** The 32 bytes of its public key. */
export function rawEd25519(key: KeyObject): Uint8Array {
  const spki = (key.type === 'public' ? key : createPublicKey(key)).export({ format: 'der', type: 'spki' });
  return Uint8Array.from(spki.subarray(spkiPrefix.length));
}

export function ed25519FromRaw(raw: Uint8Array): KeyObject {
  assertLength(raw);
  return createPublicKey({ key: Buffer.from(concat(spkiPrefix, raw)), format: 'der', type: 'spki' });
}

function assertLength({ length }: Uint8Array): void {
  if (length !== ed25519Length) throw new CoreError('key-invalid', `an Ed25519 key of ${length} bytes`);
}
