// A signing key in a token under its own label, and sessions for the rare uses of such a key: a manufacturer's key, or a device's IDevID
// key. A session is opened for each use.
import { randomBytes, verify } from 'node:crypto';
import type { Signer } from '@edgekeep/core/signer';
import { HardwareError } from '../error.ts';
import type { Handle } from './cryptoki.ts';
import { type Cryptoki, Pkcs11Module } from './module.ts';
import { chooseToken, listTokens } from './slots.ts';
import { findKey, generateKey, type TokenKey } from './token-keys.ts';
import { closeQuietly, login } from './token-login.ts';
import { sign } from './token-operations.ts';
import type { TokenPlace } from './token-session.ts';

/** The place of a token and its PIN. */
export type TokenAddress = Pick<TokenPlace, 'module' | 'token' | 'pinFile'>;

/**
 * A P-256 signer with the key of this label, which is made in the token when `make` is set; undefined when there is none. Throws every code
 * that begins with `pkcs11`.
 */
export async function tokenSigner(
  address: TokenAddress,
  label: string,
  { make }: { readonly make: boolean },
): Promise<Signer | undefined> {
  const key = await inTokenSession(address, `finding the key ${label}`, async (cryptoki, session) => {
    const found = findKey(cryptoki, session, label);
    if (found !== undefined || !make) return found;
    await generateKey(cryptoki, session, 'signing', label);
    const made = findKey(cryptoki, session, label);
    if (made !== undefined) await assertSigns(cryptoki, session, made);
    return made;
  });
  if (key === undefined) return undefined;
  const { publicKey } = key;
  return {
    algorithm: 'ecdsa-p256-sha256',
    publicKey,
    sign: (message) =>
      inTokenSession(address, `signing with the key ${label}`, (cryptoki, handle) => {
        const signing = findKey(cryptoki, handle, label);
        if (signing?.publicKey.equals(publicKey) === true) return sign(cryptoki, { handle, signing }, message);
        throw new HardwareError('pkcs11-token-changed', `the token no longer holds the key ${label}`);
      }),
  };
}

/** Runs `operation` logged in, in a session that can write. */
export async function inTokenSession<Result>(
  address: TokenAddress,
  doing: string,
  operation: (cryptoki: Cryptoki, session: Handle) => Promise<Result> | Result,
): Promise<Result> {
  await using module = await Pkcs11Module.open(address.module);
  return module.run(doing, async (cryptoki) => {
    const { api, binding } = cryptoki;
    const token = chooseToken(listTokens(cryptoki), address.token);
    const session = api.C_OpenSession(token.handle, binding.CKF_SERIAL_SESSION | binding.CKF_RW_SESSION);
    try {
      await login(cryptoki, token, session, address.pinFile);
      return await operation(cryptoki, session);
    } finally {
      closeQuietly(cryptoki, session);
    }
  });
}

async function assertSigns(cryptoki: Cryptoki, handle: Handle, signing: TokenKey): Promise<void> {
  const message = randomBytes(32);
  if (verify('sha256', message, signing.publicKey, await sign(cryptoki, { handle, signing }, message))) return;
  throw new HardwareError('pkcs11-key-unexpected', 'the new key does not sign for the public key beside it');
}
