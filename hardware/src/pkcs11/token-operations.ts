// What a device does with its keys while they stay in the token: signing, key agreement, and a test of both.
import {
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  verify,
} from 'node:crypto';
import { concat, equalBytes, utf8 } from '@edgekeep/core/bytes';
import { derInteger, derSequence } from '@edgekeep/core/der';
import { encodeP256Point } from '@edgekeep/core/identity/p256-point';
import { HardwareError } from '../error.ts';
import type { Handle } from './cryptoki.ts';
import type { Cryptoki } from './module.ts';
import type { TokenKey } from './token-keys.ts';

const coordinateLength = 32;

/** Both keys, and the session they are used in. */
export interface OpenedKeys {
  readonly handle: Handle;
  readonly signing: TokenKey;
  readonly agreement: TokenKey;
}

/** CKM_ECDSA (PKCS#11 2.40 mechanisms, section 2.3.6) takes the digest and gives r || s. */
export async function sign(
  { api, binding }: Cryptoki,
  { handle, signing }: Pick<OpenedKeys, 'handle' | 'signing'>,
  message: Uint8Array,
): Promise<Uint8Array> {
  const digest = createHash('sha256').update(message).digest();
  api.C_SignInit(handle, { mechanism: binding.CKM_ECDSA }, signing.handle);
  const raw = await api.C_SignAsync(handle, digest, Buffer.alloc(2 * coordinateLength));
  if (raw.length !== 2 * coordinateLength) {
    throw new HardwareError('pkcs11-key-unexpected', `a signature of ${raw.length} bytes, expected 64`);
  }
  return derSequence(derInteger(raw.subarray(0, coordinateLength)), derInteger(raw.subarray(coordinateLength)));
}

/** CKM_ECDH1_DERIVE without key derivation (section 2.3.10): a session object that is read and destroyed at once. */
export async function agree(
  { api, binding }: Cryptoki,
  { handle, agreement }: OpenedKeys,
  publicKey: KeyObject,
): Promise<Uint8Array> {
  const parameter = {
    type: binding.CK_PARAMS_EC_DH,
    kdf: binding.CKD_NULL,
    publicData: Buffer.from(encodeP256Point(publicKey)),
  };
  const derived = await api.C_DeriveKeyAsync(
    handle,
    { mechanism: binding.CKM_ECDH1_DERIVE, parameter },
    agreement.handle,
    [
      { type: binding.CKA_CLASS, value: binding.CKO_SECRET_KEY },
      { type: binding.CKA_KEY_TYPE, value: binding.CKK_GENERIC_SECRET },
      { type: binding.CKA_TOKEN, value: false },
      { type: binding.CKA_SENSITIVE, value: false },
      { type: binding.CKA_EXTRACTABLE, value: true },
      { type: binding.CKA_VALUE_LEN, value: coordinateLength },
    ],
  );
  try {
    const value = api.C_GetAttributeValue(handle, derived, [{ type: binding.CKA_VALUE }])[0]?.value;
    if (value?.length === coordinateLength) return value;
    throw new HardwareError('pkcs11-key-unexpected', `a shared secret of ${value?.length ?? 0} bytes, expected 32`);
  } finally {
    api.C_DestroyObject(handle, derived);
  }
}

// Once at each opening: the labels' halves belong together, the signature has the expected form, and the agreement returns the bare
// coordinate. Vendors' modules differ in all three.
/** Throws `pkcs11-key-unexpected`. */
export async function assertKeysWork(cryptoki: Cryptoki, session: OpenedKeys): Promise<void> {
  const message = concat(utf8('edgekeep self-test'), Uint8Array.of(0), randomBytes(32));
  const signature = await sign(cryptoki, session, message);
  if (!verify('sha256', message, session.signing.publicKey, signature)) {
    throw new HardwareError('pkcs11-key-unexpected', 'the signing key does not sign for the public key beside it');
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const shared = await agree(cryptoki, session, createPublicKey(privateKey));
  if (!equalBytes(shared, diffieHellman({ privateKey, publicKey: session.agreement.publicKey }))) {
    throw new HardwareError('pkcs11-key-unexpected', 'the agreement key does not agree as the public key beside it');
  }
}
