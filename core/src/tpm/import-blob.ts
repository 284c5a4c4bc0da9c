// A secret sealed remotely for one TPM (TPM 2.0 Part 1, 23.3.2: duplication with an outer wrap): a data object that TPM2_Import accepts
// under the given parent and that TPM2_Unseal opens only under its policy.
import { ByteWriter } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { algorithmIds, digest, hashSize } from './algorithm.ts';
import { outerWrap, storageCipherOf } from './outer-wrap.ts';
import { encodeSizedPublic, type KeyedHashPublic, objectAttributes, tpmName, type TpmPublic } from './public-area.ts';
import { type RandomBytes, shareSeed } from './seed.ts';

export interface ImportBlobRequest {
  /** A storage key of the TPM (RSA-2048, P-256 or P-384) that the caller knows to be genuine. */
  readonly parentPublic: TpmPublic;
  readonly secret: Uint8Array;
  /** SHA-256 policy digest; see policy.ts. */
  readonly policyDigest: Uint8Array;
  /** The value that PolicyAuthValue requires, at most 32 bytes; left out: empty. */
  readonly authValue?: Uint8Array | undefined;
  /** The TPM counts wrong values and locks itself: for an authorization value that a person can remember. Left out: no. */
  readonly countsGuesses?: boolean | undefined;
  readonly randomBytes: RandomBytes;
}

export interface ImportBlob {
  /** TPM2B_PUBLIC. */
  readonly publicArea: Uint8Array;
  /** TPM2B_PRIVATE. */
  readonly duplicate: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly encryptedSeed: Uint8Array;
}

/** MAX_SYM_DATA: what every TPM can seal (Part 2, 11.1.14). */
const SECRET_BYTES_MAX = 128;

/** The object's name algorithm, and so the hash of its policy. */
const hash = 'sha256';

// Without userWithAuth only the policy opens the object, never a password alone; with noDA a wrong value cannot lock the TPM out.
const attributes = objectAttributes.adminWithPolicy;
const attributesWithoutCount = attributes | objectAttributes.noDictionaryAttack;

/** Throws `tpm-policy-invalid` for an empty or all-zero policy (anybody could open it), `tpm-structure-invalid` for a wrong parent or secret. */
export function makeImportBlob(request: ImportBlobRequest): ImportBlob {
  const { parentPublic, secret, policyDigest, authValue = new Uint8Array(0), randomBytes: random } = request;
  if (secret.length === 0 || secret.length > SECRET_BYTES_MAX) {
    throw new CoreError(
      'tpm-structure-invalid',
      `a secret of ${secret.length} bytes, expected 1 to ${SECRET_BYTES_MAX}`,
    );
  }
  if (policyDigest.length !== hashSize(hash) || policyDigest.every((byte) => byte === 0)) {
    throw new CoreError('tpm-policy-invalid', 'expected a SHA-256 policy digest that constrains something');
  }
  if (authValue.length > hashSize(hash)) {
    throw new CoreError('tpm-structure-invalid', `an authorization value of ${authValue.length} bytes, at most 32`);
  }
  const cipher = storageCipherOf(parentPublic);
  const obfuscation = Uint8Array.from(random(hashSize(hash)));
  const unique = digest(hash, obfuscation, secret);
  const publicArea: KeyedHashPublic = {
    kind: 'keyedhash',
    nameAlgorithm: hash,
    attributes: request.countsGuesses === true ? attributes : attributesWithoutCount,
    authPolicy: policyDigest,
    hmac: null,
    unique,
  };
  const sensitive = encodeSensitive(authValue, obfuscation, secret);
  const { seed, encrypted } = shareSeed(parentPublic, 'DUPLICATE', random);
  const wrapped = outerWrap(parentPublic.nameAlgorithm, cipher, seed, tpmName(publicArea), sensitive);
  for (const bytes of [obfuscation, sensitive, seed]) bytes.fill(0);
  return {
    publicArea: encodeSizedPublic(publicArea),
    duplicate: new ByteWriter().sized16(wrapped).finish(),
    encryptedSeed: encrypted,
  };
}

/** TPM2B_SENSITIVE of a sealed data object (Part 2, 12.3.2.4). */
function encodeSensitive(authValue: Uint8Array, obfuscation: Uint8Array, secret: Uint8Array): Uint8Array {
  const inner = new ByteWriter()
    .u16(algorithmIds.keyedHash)
    .sized16(authValue)
    .sized16(obfuscation)
    .sized16(secret)
    .finish();
  const sensitive = new ByteWriter().sized16(inner).finish();
  inner.fill(0);
  return sensitive;
}
