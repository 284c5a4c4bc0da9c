// The signature of a file as IMA logs it in the field `sig` (kernel, security/integrity: struct signature_v2_hdr; evmctl ima_sign): a header,
// and RSA PKCS #1 v1.5 or ECDSA over the digest of the file.
import { constants, hash as digestOf, type KeyObject, publicDecrypt } from 'node:crypto';
import { ByteReader, equalBytes } from '../bytes.ts';
import { DerReader } from '../der.ts';
import { CoreError } from '../error.ts';
import { sha256Hex } from '../digest.ts';
import { encodeSpki } from '../identity/public-key.ts';
import { PrehashedEcdsaKey } from './prehashed-ecdsa.ts';

const DIGSIG = 3; // EVM_IMA_XATTR_DIGSIG
const SIGNATURE_BYTES_MAX = 1_024; // RSA-8192

/** By the numbers of the kernel (enum hash_algo): name, and the DigestInfo of RFC 8017, 9.2 before the digest. */
const hashes: Readonly<Record<number, { readonly name: string; readonly length: number; readonly prefix: string }>> = {
  4: { name: 'sha256', length: 32, prefix: '3031300d060960864801650304020105000420' },
  5: { name: 'sha384', length: 48, prefix: '3041300d060960864801650304020205000430' },
  6: { name: 'sha512', length: 64, prefix: '3051300d060960864801650304020305000440' },
};

export interface ImaSignature {
  /** Hash of the file; `undefined` for one that is not accepted. */
  readonly algorithm: string | undefined;
  /** Which key, 8 hex digits: the end of the SHA-1 of its public key, or of its certificate's key identifier. */
  readonly keyId: string;
  readonly hashNumber: number;
  readonly signature: Uint8Array;
}

/** Undefined for a value that is no signature of version 2 over a file's digest. */
export function parseImaSignature(bytes: Uint8Array): ImaSignature | undefined {
  try {
    const reader = new ByteReader(bytes, 'IMA signature');
    if (reader.u8() !== DIGSIG || reader.u8() !== 2) return undefined;
    const hashNumber = reader.u8();
    const keyId = reader.u32().toString(16).padStart(8, '0');
    const signature = reader.sized16(SIGNATURE_BYTES_MAX);
    reader.end();
    return { algorithm: hashes[hashNumber]?.name, keyId, hashNumber, signature };
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

/** A public key that signs files. */
export class ImaFileKey {
  readonly keyId: string;
  /** SHA-256 of its SubjectPublicKeyInfo, hex. */
  readonly fingerprint: string;
  readonly #key: KeyObject;
  readonly #ecdsa: PrehashedEcdsaKey | undefined;

  /** `keyId` is left out where it is that of the key itself. */
  constructor(key: KeyObject, keyId = imaKeyIdOf(key)) {
    this.keyId = keyId;
    this.fingerprint = sha256Hex(encodeSpki(key));
    this.#key = key;
    this.#ecdsa = key.asymmetricKeyType === 'ec' ? PrehashedEcdsaKey.of(key) : undefined;
  }

  /** Whether the signature is over this digest of a file. */
  verify({ hashNumber, signature }: ImaSignature, digest: Uint8Array): boolean {
    const hash = hashes[hashNumber];
    if (hash === undefined || digest.length !== hash.length) return false;
    if (this.#ecdsa !== undefined) {
      const numbers = ecdsaNumbers(signature);
      return numbers !== undefined && this.#ecdsa.verify(digest, numbers.r, numbers.s);
    }
    if (this.#key.asymmetricKeyType !== 'rsa') return false;
    try {
      const opened = publicDecrypt({ key: this.#key, padding: constants.RSA_PKCS1_PADDING }, signature);
      return equalBytes(opened, Buffer.concat([Buffer.from(hash.prefix, 'hex'), digest]));
    } catch {
      // OpenSSL refuses the padding.
      return false;
    }
  }
}

/** As the kernel and evmctl compute it (calc_keyid_v2). */
export function imaKeyIdOf(key: KeyObject): string {
  return digestOf('sha1', publicKeyBits(key), 'hex').slice(-8);
}

// The content of the bit string in the SubjectPublicKeyInfo.
function publicKeyBits(key: KeyObject): Uint8Array {
  const info = new DerReader(encodeSpki(key), 'public key').inside();
  info.any();
  return info.octetsInBitString();
}

function ecdsaNumbers(signature: Uint8Array): { readonly r: bigint; readonly s: bigint } | undefined {
  try {
    const reader = new DerReader(signature, 'ECDSA signature');
    const pair = reader.inside();
    reader.end();
    const [r, s] = [pair.integer(), pair.integer()];
    pair.end();
    return { r: BigInt(`0x${Buffer.from(r).toString('hex')}`), s: BigInt(`0x${Buffer.from(s).toString('hex')}`) };
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
