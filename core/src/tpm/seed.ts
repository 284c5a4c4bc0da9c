// Sharing a secret seed with a TPM key (TPM 2.0 Part 1, B.10.3 for RSA, C.6.1 for ECC): the first step of credentials, import blobs and
// salted sessions. Random bytes come from the caller, so one input gives one output.
import { constants, createECDH, createHash, publicEncrypt } from 'node:crypto';
import { ByteWriter, concat, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { curveDetails, digest, hashSize, type TpmCurve, type TpmHash } from './algorithm.ts';
import { kdfe } from './kdf.ts';
import { type EccPublic, padLeft, publicKeyOf, type RsaPublic, type TpmPublic } from './public-area.ts';

export type RandomBytes = (length: number) => Uint8Array;
export type SeedLabel = 'IDENTITY' | 'DUPLICATE' | 'SECRET';

export interface SharedSeed {
  readonly seed: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET: only the TPM that holds the private key recovers the seed from it. */
  readonly encrypted: Uint8Array;
}

const nodeCurves: Readonly<Record<TpmCurve, string>> = { p256: 'prime256v1', p384: 'secp384r1', p521: 'secp521r1' };

/** An out-of-range scalar comes up less than once in 2^32 draws on P-256; more in a row than this means the random source is broken. */
const SCALAR_DRAWS_MAX = 16;

/** Makes a seed as long as the name algorithm's digest and encrypts it to an RSA or ECC decryption key. */
export function shareSeed(key: TpmPublic, label: SeedLabel, random: RandomBytes): SharedSeed {
  if (key.kind === 'rsa') return shareWithRsa(key, label, random);
  if (key.kind === 'ecc') return shareWithEcc(key, label, random);
  throw new CoreError('tpm-structure-invalid', `expected an RSA or ECC key to share a seed with, found ${key.kind}`);
}

function shareWithRsa(key: RsaPublic, label: SeedLabel, random: RandomBytes): SharedSeed {
  const hash = key.nameAlgorithm;
  const seed = Uint8Array.from(random(hashSize(hash)));
  const padded = padOaep(hash, utf8(`${label}\0`), seed, key.keyBits / 8, random);
  const ciphertext = publicEncrypt({ key: publicKeyOf(key), padding: constants.RSA_NO_PADDING }, padded);
  return { seed, encrypted: new ByteWriter().sized16(ciphertext).finish() };
}

/** EME-OAEP encoding (RFC 8017 section 7.1.1), with the given random bytes as its seed. */
function padOaep(
  hash: TpmHash,
  label: Uint8Array,
  message: Uint8Array,
  length: number,
  random: RandomBytes,
): Uint8Array {
  const size = hashSize(hash);
  const zeros = new Uint8Array(length - message.length - 2 * size - 2);
  const block = concat(digest(hash, label), zeros, Uint8Array.of(1), message);
  const seed = random(size);
  const maskedBlock = xor(block, maskGenerate(hash, seed, block.length));
  const maskedSeed = xor(seed, maskGenerate(hash, maskedBlock, size));
  return concat(Uint8Array.of(0), maskedSeed, maskedBlock);
}

/** MGF1 (RFC 8017 appendix B.2.1). */
function maskGenerate(hash: TpmHash, seed: Uint8Array, length: number): Uint8Array {
  const mask = new ByteWriter();
  for (let counter = 0; counter * hashSize(hash) < length; counter++) {
    mask.bytes(createHash(hash).update(seed).update(new ByteWriter().u32(counter).finish()).digest());
  }
  return mask.finish().subarray(0, length);
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, index) => byte ^ (b[index] ?? 0));
}

function shareWithEcc(key: EccPublic, label: SeedLabel, random: RandomBytes): SharedSeed {
  // Refuses a template and a point off the curve, before any secret is used.
  publicKeyOf(key);
  const { size } = curveDetails(key.curve);
  const x = padLeft(key.x, size);
  const ephemeral = drawKey(key.curve, random);
  const shared = ephemeral.computeSecret(concat(Uint8Array.of(4), x, padLeft(key.y, size)));
  const point = ephemeral.getPublicKey();
  const ephemeralX = point.subarray(1, 1 + size);
  const seed = kdfe(key.nameAlgorithm, shared, label, ephemeralX, x, hashSize(key.nameAlgorithm) * 8);
  shared.fill(0);
  const encoded = new ByteWriter()
    .sized16(ephemeralX)
    .sized16(point.subarray(1 + size))
    .finish();
  return { seed, encrypted: new ByteWriter().sized16(encoded).finish() };
}

function drawKey(curve: TpmCurve, random: RandomBytes) {
  const ecdh = createECDH(nodeCurves[curve]);
  for (let draw = 0; draw < SCALAR_DRAWS_MAX; draw++) {
    const scalar = Uint8Array.from(random(curveDetails(curve).size));
    // P-521 scalars have 521 bits in 66 bytes.
    if (curve === 'p521') scalar[0] = (scalar[0] ?? 0) & 1;
    try {
      ecdh.setPrivateKey(scalar);
      return ecdh;
    } catch {
      // Zero or not below the group order: draw again, so that every scalar is equally likely.
    }
  }
  throw new CoreError('key-invalid', `the random source gave no valid scalar in ${SCALAR_DRAWS_MAX} draws`);
}
