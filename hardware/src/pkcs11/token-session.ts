// A logged-in session with one token and its two keys (PKCS#11 2.40 section 5.6). A token that was removed and inserted again is opened
// again at the next use, and must still have the same keys.
import type { KeyObject } from 'node:crypto';
import { HardwareError } from '../error.ts';
import { isLost } from './cryptoki-error.ts';
import { type Cryptoki, Pkcs11Module } from './module.ts';
import { chooseToken, listTokens, type Token, type TokenChoice, type TokenDescription } from './slots.ts';
import { findKey, generateKey, type KeyLabels, type KeyUse, type TokenKey } from './token-keys.ts';
import { closeQuietly, login } from './token-login.ts';
import { agree, assertKeysWork, type OpenedKeys, sign } from './token-operations.ts';

/** Small chips return no more at once. */
const RANDOM_BYTES_MAX = 32;

export interface TokenPlace {
  /** Absolute path of the vendor's PKCS#11 library. */
  readonly module: string;
  readonly token: TokenChoice;
  readonly pinFile: string;
  readonly keyLabels: KeyLabels;
  /** CKA_LABEL of the key and the certificate of an IDevID; left out: `edgekeep-idevid`. */
  readonly idevidLabel?: string | undefined;
}

export interface PublicKeys {
  readonly signing: KeyObject;
  readonly agreement: KeyObject;
}

interface Session extends OpenedKeys {
  readonly description: TokenDescription;
}

export class TokenSession {
  readonly #place: TokenPlace;
  readonly #module: Pkcs11Module;
  readonly description: TokenDescription;
  readonly publicKeys: PublicKeys;
  #session: Session | undefined;

  private constructor(place: TokenPlace, module: Pkcs11Module, session: Session) {
    this.#place = place;
    this.#module = module;
    this.#session = session;
    this.description = session.description;
    this.publicKeys = publicKeysOf(session);
  }

  /**
   * Logs in and finds the keys. Without `known`, missing keys are made in the token; with it, the token must have exactly these keys, or
   * `pkcs11-token-changed` is thrown. Throws every code that begins with `pkcs11`.
   */
  static async open(place: TokenPlace, known?: PublicKeys): Promise<TokenSession> {
    const module = await Pkcs11Module.open(place.module);
    try {
      const session = await module.run('opening the token', (cryptoki) => connect(cryptoki, place, known));
      return new TokenSession(place, module, session);
    } catch (error) {
      await module[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** ECDSA P-256 with SHA-256, DER. */
  sign(message: Uint8Array): Promise<Uint8Array> {
    return this.#run('signing', (cryptoki, session) => sign(cryptoki, session, message));
  }

  /** The x-coordinate of the agreement key's private scalar times `publicKey`, which is a P-256 key. The caller zeroes it. */
  agree(publicKey: KeyObject): Promise<Uint8Array> {
    return this.#run('agreeing on a key', (cryptoki, session) => agree(cryptoki, session, publicKey));
  }

  /** From the token's random number generator. */
  random(length: number): Promise<Uint8Array> {
    return this.#run('drawing random bytes', ({ api }, { handle }) => {
      const bytes = Buffer.alloc(length);
      for (let at = 0; at < length; at += RANDOM_BYTES_MAX) {
        api.C_GenerateRandom(handle, bytes.subarray(at, at + RANDOM_BYTES_MAX));
      }
      return bytes;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#module
      .run('closing the session', ({ api }) => {
        if (this.#session !== undefined) api.C_CloseSession(this.#session.handle);
        this.#session = undefined;
      })
      // A session that was lost is closed already.
      .catch(() => undefined);
    await this.#module[Symbol.asyncDispose]();
  }

  /** A lost session is opened once more; a failure after that goes to the caller. */
  #run<Result>(
    doing: string,
    operation: (cryptoki: Cryptoki, session: Session) => Promise<Result> | Result,
  ): Promise<Result> {
    return this.#module.run(doing, async (cryptoki) => {
      const kept = this.#session;
      if (kept !== undefined) {
        try {
          return await operation(cryptoki, kept);
        } catch (error) {
          if (!isLost(error)) throw error;
          this.#session = undefined;
          closeQuietly(cryptoki, kept.handle);
        }
      }
      this.#session = await connect(cryptoki, this.#place, this.publicKeys);
      return operation(cryptoki, this.#session);
    });
  }
}

async function connect(cryptoki: Cryptoki, place: TokenPlace, known: PublicKeys | undefined): Promise<Session> {
  const token = chooseToken(listTokens(cryptoki), place.token);
  const { api, binding } = cryptoki;
  const handle = api.C_OpenSession(token.handle, binding.CKF_SERIAL_SESSION);
  try {
    await login(cryptoki, token, handle, place.pinFile);
    const find = (use: KeyUse) => findKey(cryptoki, handle, place.keyLabels[use]);
    const keys = { signing: find('signing'), agreement: find('agreement') };
    if (known === undefined) await makeMissing(cryptoki, token, place.keyLabels, keys);
    const signing = keys.signing ?? find('signing');
    const agreement = keys.agreement ?? find('agreement');
    if (signing === undefined || agreement === undefined)
      throw changed(token, 'it does not hold the keys of this device');
    const session = { handle, description: token.description, signing, agreement };
    if (known !== undefined && !equalKeys(publicKeysOf(session), known)) throw changed(token, 'it holds other keys');
    await assertKeysWork(cryptoki, session);
    return session;
  } catch (error) {
    closeQuietly(cryptoki, handle);
    throw error;
  }
}

async function makeMissing(
  cryptoki: Cryptoki,
  token: Token,
  labels: KeyLabels,
  found: Readonly<Record<KeyUse, TokenKey | undefined>>,
): Promise<void> {
  const missing = (['signing', 'agreement'] as const).filter((use) => found[use] === undefined);
  if (missing.length === 0) return;
  const { api, binding } = cryptoki;
  const writing = api.C_OpenSession(token.handle, binding.CKF_SERIAL_SESSION | binding.CKF_RW_SESSION);
  try {
    for (const use of missing) await generateKey(cryptoki, writing, use, labels[use]);
  } finally {
    closeQuietly(cryptoki, writing);
  }
}

function publicKeysOf({ signing, agreement }: OpenedKeys): PublicKeys {
  return { signing: signing.publicKey, agreement: agreement.publicKey };
}

function equalKeys(a: PublicKeys, b: PublicKeys): boolean {
  return a.signing.equals(b.signing) && a.agreement.equals(b.agreement);
}

function changed({ description, slot }: Token, problem: string): HardwareError {
  const message = `the token ${description.label} (serial number ${description.serialNumber}, slot ${slot}) is not the one this device was set up with: ${problem}`;
  return new HardwareError('pkcs11-token-changed', message);
}
