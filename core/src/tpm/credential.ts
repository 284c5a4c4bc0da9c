// MakeCredential (TPM 2.0 Part 1, 24): a secret that only the TPM holding both the endorsement key and the named key can open.
import { ByteWriter } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { hashSize } from './algorithm.ts';
import { outerWrap, storageCipherOf } from './outer-wrap.ts';
import { nameHash, type TpmPublic } from './public-area.ts';
import { type RandomBytes, shareSeed } from './seed.ts';

export interface CredentialRequest {
  /** The endorsement key, whose certificate the caller has verified. */
  readonly endorsementPublic: TpmPublic;
  /** Name of the key that must be in the same TPM. */
  readonly name: Uint8Array;
  /** At most one digest of the endorsement key's name algorithm. */
  readonly secret: Uint8Array;
  readonly randomBytes: RandomBytes;
}

export interface Credential {
  /** TPM2B_ID_OBJECT. */
  readonly credentialBlob: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly encryptedSecret: Uint8Array;
}

/** Throws `tpm-credential-invalid` for a secret of wrong length, `tpm-structure-invalid` for an unusable key or Name. */
export function makeCredential({ endorsementPublic, name, secret, randomBytes }: CredentialRequest): Credential {
  const hash = endorsementPublic.nameAlgorithm;
  if (secret.length === 0 || secret.length > hashSize(hash)) {
    throw new CoreError(
      'tpm-credential-invalid',
      `a secret of ${secret.length} bytes, expected 1 to ${hashSize(hash)}`,
    );
  }
  nameHash(name);
  const cipher = storageCipherOf(endorsementPublic);
  const { seed, encrypted } = shareSeed(endorsementPublic, 'IDENTITY', randomBytes);
  const sensitive = new ByteWriter().sized16(secret).finish();
  const wrapped = outerWrap(hash, cipher, seed, name, sensitive);
  sensitive.fill(0);
  seed.fill(0);
  return { credentialBlob: new ByteWriter().sized16(wrapped).finish(), encryptedSecret: encrypted };
}
