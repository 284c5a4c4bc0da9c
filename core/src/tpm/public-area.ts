// The public area of a TPM object (TPM 2.0 Part 2, 12.2.4 TPMT_PUBLIC) and what follows from it: its Name (Part 1, 16), the
// qualified name of a primary (Part 1, 26.6), its key. Bytes are kept exactly as read, because the Name is a hash over them.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { ByteReader, ByteWriter, concat, toBase64url } from '../bytes.ts';
import { CoreError } from '../error.ts';
import {
  algorithmIds,
  curveDetails,
  digest,
  hashId,
  hashSize,
  readCurve,
  readHash,
  type TpmCurve,
  type TpmHash,
  unsupported,
} from './algorithm.ts';

interface CommonPublic {
  readonly nameAlgorithm: TpmHash;
  /** TPMA_OBJECT, see `objectAttributes`. */
  readonly attributes: number;
  /** Empty, or one digest of the name algorithm. */
  readonly authPolicy: Uint8Array;
}

/** AES in CFB mode, the one symmetric cipher a storage key protects its children with. */
export interface AesCfb {
  readonly keyBits: 128 | 192 | 256;
}

export type AsymmetricScheme =
  | { readonly kind: 'rsassa' | 'rsapss' | 'oaep' | 'ecdsa' | 'ecdh'; readonly hash: TpmHash }
  | { readonly kind: 'rsaes' };

export interface RsaPublic extends CommonPublic {
  readonly kind: 'rsa';
  readonly symmetric: AesCfb | null;
  readonly scheme: AsymmetricScheme | null;
  readonly keyBits: 1024 | 2048 | 3072 | 4096;
  /** 0 means 65537. */
  readonly exponent: number;
  /** `keyBits` long; empty in a template. */
  readonly modulus: Uint8Array;
}

export interface EccPublic extends CommonPublic {
  readonly kind: 'ecc';
  readonly symmetric: AesCfb | null;
  readonly scheme: AsymmetricScheme | null;
  readonly curve: TpmCurve;
  /** Big-endian, at most the field size: some TPMs leave out leading zeros. Empty in a template. */
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

export interface KeyedHashPublic extends CommonPublic {
  readonly kind: 'keyedhash';
  /** null for sealed data, else the hash of an HMAC key. */
  readonly hmac: TpmHash | null;
  readonly unique: Uint8Array;
}

export interface SymmetricPublic extends CommonPublic {
  readonly kind: 'symcipher';
  readonly symmetric: AesCfb;
  readonly unique: Uint8Array;
}

export type TpmPublic = RsaPublic | EccPublic | KeyedHashPublic | SymmetricPublic;

/** TPMA_OBJECT bits (Part 2, 8.3). */
export const objectAttributes = {
  fixedTpm: 1 << 1,
  stClear: 1 << 2,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  firmwareLimited: 1 << 8,
  svnLimited: 1 << 9,
  noDictionaryAttack: 1 << 10,
  encryptedDuplication: 1 << 11,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
  x509Sign: 1 << 19,
} as const;

const knownAttributes = Object.values(objectAttributes).reduce((mask, bit) => mask | bit, 0);

/** Permanent handles of the hierarchies (Part 2, 7.4). */
export const hierarchies = { owner: 0x40000001, endorsement: 0x4000000b, platform: 0x4000000c } as const;
export type Hierarchy = keyof typeof hierarchies;

const what = 'public area';

/** Reads a TPM2B_PUBLIC or a bare TPMT_PUBLIC; trailing bytes, unknown attribute bits, unknown algorithms and wrong lengths throw. */
export function parsePublic(bytes: Uint8Array): TpmPublic {
  const sized = bytes.length >= 2 && new ByteReader(bytes, what).u16() === bytes.length - 2;
  const reader = new ByteReader(sized ? bytes.subarray(2) : bytes, what);
  const publicArea = readPublic(reader);
  reader.end();
  return publicArea;
}

function readPublic(reader: ByteReader): TpmPublic {
  const type = reader.u16();
  const nameAlgorithm = readHash(reader, `${what} name algorithm`);
  const attributes = reader.u32();
  if ((attributes & ~knownAttributes) !== 0) {
    throw invalid(`attributes 0x${attributes.toString(16)} have reserved bits`);
  }
  const authPolicy = emptyOr(reader.sized16(), hashSize(nameAlgorithm), 'policy digest');
  const common = { nameAlgorithm, attributes, authPolicy };
  switch (type) {
    case algorithmIds.rsa:
      return readRsa(reader, common);
    case algorithmIds.ecc:
      return readEcc(reader, common);
    case algorithmIds.keyedHash:
      return readKeyedHash(reader, common);
    case algorithmIds.symmetricCipher: {
      const symmetric = readSymmetric(reader);
      if (symmetric === null) throw invalid('a symmetric key without a cipher');
      const unique = emptyOr(reader.sized16(), hashSize(nameAlgorithm), 'unique value');
      return { kind: 'symcipher', ...common, symmetric, unique };
    }
    default:
      throw unsupported(what, 'an RSA, ECC, KEYEDHASH or SYMCIPHER object', type);
  }
}

function readRsa(reader: ByteReader, common: CommonPublic): RsaPublic {
  const symmetric = readSymmetric(reader);
  const scheme = readScheme(reader, ['rsassa', 'rsapss', 'oaep', 'rsaes']);
  const keyBits = reader.u16();
  if (keyBits !== 1024 && keyBits !== 2048 && keyBits !== 3072 && keyBits !== 4096) {
    throw invalid(`RSA keys of ${keyBits} bits are not supported`);
  }
  const exponent = reader.u32();
  if (exponent !== 0 && (exponent < 3 || exponent % 2 === 0)) throw invalid(`RSA exponent ${exponent}`);
  const modulus = emptyOr(reader.sized16(), keyBits / 8, 'RSA modulus');
  return { kind: 'rsa', ...common, symmetric, scheme, keyBits, exponent, modulus };
}

function readEcc(reader: ByteReader, common: CommonPublic): EccPublic {
  const symmetric = readSymmetric(reader);
  const scheme = readScheme(reader, ['ecdsa', 'ecdh']);
  const curve = readCurve(reader, what);
  const kdf = reader.u16();
  if (kdf !== algorithmIds.null) throw unsupported(what, 'no KDF scheme', kdf);
  const { size } = curveDetails(curve);
  const x = reader.sized16(size);
  const y = reader.sized16(size);
  return { kind: 'ecc', ...common, symmetric, scheme, curve, x, y };
}

function readKeyedHash(reader: ByteReader, common: CommonPublic): KeyedHashPublic {
  const scheme = reader.u16();
  if (scheme !== algorithmIds.null && scheme !== algorithmIds.hmac)
    throw unsupported(what, 'no scheme or HMAC', scheme);
  const hmac = scheme === algorithmIds.null ? null : readHash(reader, `${what} HMAC scheme`);
  const unique = emptyOr(reader.sized16(), hashSize(common.nameAlgorithm), 'unique value');
  return { kind: 'keyedhash', ...common, hmac, unique };
}

function readSymmetric(reader: ByteReader): AesCfb | null {
  const algorithm = reader.u16();
  if (algorithm === algorithmIds.null) return null;
  if (algorithm !== algorithmIds.aes) throw unsupported(what, 'AES or no symmetric cipher', algorithm);
  const keyBits = reader.u16();
  if (keyBits !== 128 && keyBits !== 192 && keyBits !== 256) throw invalid(`an AES key of ${keyBits} bits`);
  const mode = reader.u16();
  if (mode !== algorithmIds.cfb) throw unsupported(what, 'CFB mode', mode);
  return { keyBits };
}

function readScheme(reader: ByteReader, allowed: readonly AsymmetricScheme['kind'][]): AsymmetricScheme | null {
  const id = reader.u16();
  if (id === algorithmIds.null) return null;
  const kind = allowed.find((name) => algorithmIds[name] === id);
  if (kind === undefined) throw unsupported(what, `no scheme or one of ${allowed.join(', ')}`, id);
  return kind === 'rsaes' ? { kind } : { kind, hash: readHash(reader, `${what} scheme`) };
}

function emptyOr(bytes: Uint8Array, length: number, field: string): Uint8Array {
  if (bytes.length !== 0 && bytes.length !== length) {
    throw invalid(`a ${field} of ${bytes.length} bytes, expected 0 or ${length}`);
  }
  return bytes;
}

/** TPMT_PUBLIC. `parsePublic` of the result gives the same value. */
export function encodePublic(publicArea: TpmPublic): Uint8Array {
  const writer = new ByteWriter();
  const { nameAlgorithm, attributes, authPolicy } = publicArea;
  const begin = (type: number) => writer.u16(type).u16(hashId(nameAlgorithm)).u32(attributes).sized16(authPolicy);
  switch (publicArea.kind) {
    case 'rsa':
      writeSymmetric(begin(algorithmIds.rsa), publicArea.symmetric);
      writeScheme(writer, publicArea.scheme);
      return writer.u16(publicArea.keyBits).u32(publicArea.exponent).sized16(publicArea.modulus).finish();
    case 'ecc':
      writeSymmetric(begin(algorithmIds.ecc), publicArea.symmetric);
      writeScheme(writer, publicArea.scheme);
      writer.u16(curveDetails(publicArea.curve).id).u16(algorithmIds.null);
      return writer.sized16(publicArea.x).sized16(publicArea.y).finish();
    case 'keyedhash':
      begin(algorithmIds.keyedHash);
      if (publicArea.hmac === null) writer.u16(algorithmIds.null);
      else writer.u16(algorithmIds.hmac).u16(hashId(publicArea.hmac));
      return writer.sized16(publicArea.unique).finish();
    case 'symcipher':
      writeSymmetric(begin(algorithmIds.symmetricCipher), publicArea.symmetric);
      return writer.sized16(publicArea.unique).finish();
  }
}

/** TPM2B_PUBLIC: the TPMT_PUBLIC behind its length. */
export function encodeSizedPublic(publicArea: TpmPublic): Uint8Array {
  return new ByteWriter().sized16(encodePublic(publicArea)).finish();
}

function writeSymmetric(writer: ByteWriter, symmetric: AesCfb | null): void {
  if (symmetric === null) writer.u16(algorithmIds.null);
  else writer.u16(algorithmIds.aes).u16(symmetric.keyBits).u16(algorithmIds.cfb);
}

function writeScheme(writer: ByteWriter, scheme: AsymmetricScheme | null): void {
  if (scheme === null) writer.u16(algorithmIds.null);
  else if (scheme.kind === 'rsaes') writer.u16(algorithmIds.rsaes);
  else writer.u16(algorithmIds[scheme.kind]).u16(hashId(scheme.hash));
}

/** Name = algorithm || H(TPMT_PUBLIC) (Part 1, 16). */
export function tpmName(publicArea: TpmPublic): Uint8Array {
  return nameOver(publicArea.nameAlgorithm, encodePublic(publicArea));
}

/** Qualified name of a primary object: algorithm || H(hierarchy handle || Name) (Part 1, 26.6). */
export function primaryQualifiedName(hierarchy: Hierarchy, name: Uint8Array): Uint8Array {
  return childQualifiedName(new ByteWriter().u32(hierarchies[hierarchy]).finish(), name);
}

/** Qualified name of a child: algorithm || H(qualified name of the parent || Name). */
function childQualifiedName(parentQualifiedName: Uint8Array, name: Uint8Array): Uint8Array {
  return nameOver(nameHash(name), concat(parentQualifiedName, name));
}

/** The hash a Name is made with; throws when the Name is not one algorithm and one digest of it. */
export function nameHash(name: Uint8Array): TpmHash {
  const reader = new ByteReader(name, 'name');
  const hash = readHash(reader, 'name');
  reader.bytes(hashSize(hash));
  reader.end();
  return hash;
}

function nameOver(hash: TpmHash, bytes: Uint8Array): Uint8Array {
  return new ByteWriter().u16(hashId(hash)).bytes(digest(hash, bytes)).finish();
}

/** Making a KeyObject costs more than using it, so each lives as long as the public area it came from. */
const publicKeys = new WeakMap<TpmPublic, KeyObject>();

/** The RSA or ECC key as a KeyObject; throws `tpm-structure-invalid` for a template, another kind of object or a point off its curve. */
export function publicKeyOf(publicArea: TpmPublic): KeyObject {
  const known = publicKeys.get(publicArea);
  if (known !== undefined) return known;
  if (publicArea.kind !== 'rsa' && publicArea.kind !== 'ecc')
    throw invalid(`a ${publicArea.kind} object has no public key`);
  try {
    const key = createPublicKey({ key: jwkOf(publicArea), format: 'jwk' });
    publicKeys.set(publicArea, key);
    return key;
  } catch (cause) {
    throw new CoreError('tpm-structure-invalid', `${what}: not a usable ${publicArea.kind} key`, { cause });
  }
}

function jwkOf(publicArea: RsaPublic | EccPublic) {
  if (publicArea.kind === 'rsa') {
    if (publicArea.modulus.length === 0) throw invalid('a template has no modulus');
    const exponent = new ByteWriter().u32(publicArea.exponent === 0 ? 65537 : publicArea.exponent).finish();
    const significant = exponent.subarray(exponent.findIndex((byte) => byte !== 0));
    return { kty: 'RSA', n: toBase64url(publicArea.modulus), e: toBase64url(significant) };
  }
  const { size, jwk } = curveDetails(publicArea.curve);
  if (publicArea.x.length === 0 || publicArea.y.length === 0) throw invalid('a template has no point');
  return {
    kty: 'EC',
    crv: jwk,
    x: toBase64url(padLeft(publicArea.x, size)),
    y: toBase64url(padLeft(publicArea.y, size)),
  };
}

/** Left-pads a big-endian number with zeros to `length` bytes. */
export function padLeft(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.length >= length ? bytes : concat(new Uint8Array(length - bytes.length), bytes);
}

function invalid(message: string): CoreError {
  return new CoreError('tpm-structure-invalid', `${what}: ${message}`);
}
