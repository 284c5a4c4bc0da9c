// The algorithms of TPM 2.0 that this product knows (TCG Algorithm Registry 1.34): identifiers, names, sizes. Everything else is refused by name.
import { createHash, hash as digestOf } from 'node:crypto';
import type { ByteReader } from '../bytes.ts';
import { CoreError } from '../error.ts';

export type TpmHash = 'sha1' | 'sha256' | 'sha384' | 'sha512';
export type TpmCurve = 'p256' | 'p384' | 'p521';

/** TPM_ALG_ID values. */
export const algorithmIds = {
  rsa: 0x0001,
  sha1: 0x0004,
  hmac: 0x0005,
  aes: 0x0006,
  keyedHash: 0x0008,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  null: 0x0010,
  rsassa: 0x0014,
  rsaes: 0x0015,
  rsapss: 0x0016,
  oaep: 0x0017,
  ecdsa: 0x0018,
  ecdh: 0x0019,
  ecc: 0x0023,
  symmetricCipher: 0x0025,
  cfb: 0x0043,
} as const;

const hashSizes = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const;
const hashes: readonly TpmHash[] = ['sha1', 'sha256', 'sha384', 'sha512'];

const curves = {
  p256: { id: 0x0003, size: 32, jwk: 'P-256' },
  p384: { id: 0x0004, size: 48, jwk: 'P-384' },
  p521: { id: 0x0005, size: 66, jwk: 'P-521' },
} as const;
const curveNames: readonly TpmCurve[] = ['p256', 'p384', 'p521'];

/** Digest size in bytes. */
export function hashSize(hash: TpmHash): number {
  return hashSizes[hash];
}

export function hashId(hash: TpmHash): number {
  return algorithmIds[hash];
}

/** The hash with this TPM_ALG_ID, or undefined when this product does not know it. */
export function findHash(id: number): TpmHash | undefined {
  return hashes.find((hash) => algorithmIds[hash] === id);
}

/** Reads a TPMI_ALG_HASH; an unknown one throws `tpm-algorithm-unsupported`. */
export function readHash(reader: ByteReader, what: string): TpmHash {
  const id = reader.u16();
  const hash = findHash(id);
  if (hash === undefined) throw unsupported(what, 'a SHA-1, SHA-256, SHA-384 or SHA-512 hash', id);
  return hash;
}

export function digest(hash: TpmHash, ...parts: readonly Uint8Array[]): Uint8Array {
  const [only, ...more] = parts;
  // In a fifth of the time.
  if (only !== undefined && more.length === 0) return digestOf(hash, only, 'buffer');
  const state = createHash(hash);
  for (const part of parts) state.update(part);
  return state.digest();
}

/** Identifier (TPM_ECC_CURVE), field size in bytes and JWK name of a curve. */
export function curveDetails(curve: TpmCurve): { readonly id: number; readonly size: number; readonly jwk: string } {
  return curves[curve];
}

/** Reads a TPMI_ECC_CURVE; an unknown one throws `tpm-algorithm-unsupported`. */
export function readCurve(reader: ByteReader, what: string): TpmCurve {
  const id = reader.u16();
  const curve = curveNames.find((name) => curves[name].id === id);
  if (curve === undefined) throw unsupported(what, 'curve P-256, P-384 or P-521', id);
  return curve;
}

export function unsupported(what: string, expected: string, id: number): CoreError {
  return new CoreError('tpm-algorithm-unsupported', `${what}: expected ${expected}, found 0x${id.toString(16)}`);
}
