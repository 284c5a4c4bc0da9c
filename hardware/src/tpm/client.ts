// A TPM as a program uses it: one command after the other, repeated when the TPM asks for it, sessions kept in step, and no object left
// loaded after a failure.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { hashSize, type TpmHash } from '@edgekeep/core/tpm/algorithm';
import {
  type AuthorizationAnswer,
  type AuthorizationEntry,
  encodeCommand,
  type Entity,
  parseParameters,
  parseResponse,
  type TpmCommand,
} from '@edgekeep/core/tpm/command';
import { CoreError } from '@edgekeep/core/error';
import { getHandles, handleRanges } from '@edgekeep/core/tpm/commands/capability';
import { flushContext, getRandom } from '@edgekeep/core/tpm/commands/lifecycle';
import { startAuthSession } from '@edgekeep/core/tpm/commands/session';
import type { TpmPublic } from '@edgekeep/core/tpm/public-area';
import { hierarchies } from '@edgekeep/core/tpm/public-area';
import { retryCodes } from '@edgekeep/core/tpm/response-code';
import { shareSeed } from '@edgekeep/core/tpm/seed';
import {
  authorizeCommand,
  emptyPassword,
  openResponse,
  type SessionState,
  sessionAttributes,
  sessionKeyOf,
  type SessionUse,
} from '@edgekeep/core/tpm/session';
import { HardwareError } from '../error.ts';
import { Serial } from '@edgekeep/host/serial';
import { failureCode, refusal } from './refusal.ts';
import type { TpmTransport } from './transport.ts';

/** An open session; the TPM changes its nonce with every command. */
export class TpmSession {
  state: SessionState;

  constructor(state: SessionState) {
    this.state = state;
  }

  get handle(): number {
    return this.state.handle;
  }
}

/** Of hierarchies whose owner set one. */
export interface HierarchyPasswords {
  readonly endorsement?: Uint8Array | undefined;
  readonly owner?: Uint8Array | undefined;
}

/** `password`: the empty one, or the password of the hierarchy that authorizes. A session with `encrypt` has the TPM encrypt the first response parameter; `authValue` is for PolicyAuthValue. */
export type Authorization =
  | 'password'
  | { readonly session: TpmSession; readonly encrypt?: boolean; readonly authValue?: Uint8Array | undefined };

export interface SaltKey {
  readonly entity: Entity;
  readonly publicArea: TpmPublic;
}

/** A busy TPM answers "again" for some tens of milliseconds, in its self-test for some seconds. */
const ATTEMPTS_MAX = 40;
const attemptPauseMilliseconds = 50;

export class TpmClient {
  readonly #transport: TpmTransport;
  readonly #passwords: ReadonlyMap<number, Uint8Array | undefined>;
  readonly #serial = new Serial();

  constructor(transport: TpmTransport, { endorsement, owner }: HierarchyPasswords = {}) {
    this.#transport = transport;
    this.#passwords = new Map([
      [hierarchies.endorsement, endorsement],
      [hierarchies.owner, owner],
    ]);
  }

  /**
   * Runs one command after all earlier ones. Throws `tpm-failed` with the TPM's response code, the cause that this code has (refusal.ts), or an
   * error of the transport.
   */
  execute<Response>(command: TpmCommand<Response>, authorizations: readonly Authorization[] = []): Promise<Response> {
    return this.#serial.run(async () => {
      try {
        return await this.#authorized(command, authorizations);
      } catch (cause) {
        // Bytes that are no answer of a TPM 2.0, or whose HMAC is not the TPM's.
        if (!(cause instanceof CoreError)) throw cause;
        throw new HardwareError('tpm-response-invalid', cause.message, { cause });
      }
    });
  }

  /** Starts a session; with a salt key only the TPM that holds the key can read what the session encrypts. */
  async startSession(type: 'hmac' | 'policy' | 'trial', hash: TpmHash, saltKey?: SaltKey): Promise<TpmSession> {
    const nonceCaller = randomBytes(hashSize(hash));
    if (saltKey === undefined) {
      const started = await this.execute(startAuthSession({ type, hash, nonceCaller }));
      return new TpmSession({ ...started, hash, key: new Uint8Array(0) });
    }
    const { seed, encrypted } = shareSeed(saltKey.publicArea, 'SECRET', randomBytes);
    const salt = { key: saltKey.entity, encrypted };
    const { handle, nonceTpm } = await this.execute(startAuthSession({ type, hash, nonceCaller, salt }));
    const key = sessionKeyOf(hash, seed, nonceTpm, nonceCaller);
    seed.fill(0);
    return new TpmSession({ handle, hash, key, nonceTpm });
  }

  /** Unloads an object or ends a session; does nothing if it is gone already. */
  async flush(handle: number): Promise<void> {
    try {
      await this.execute(flushContext(handle));
    } catch (error) {
      if (!(error instanceof HardwareError && error.code === 'tpm-failed')) throw error;
    }
  }

  /** Unloads what an earlier program left in a TPM without a resource manager. Only the sole user of the TPM may do this. */
  async flushLeftovers(): Promise<void> {
    for (const range of [handleRanges.transient, handleRanges.loadedSession]) {
      for (const handle of await this.execute(getHandles(range))) await this.flush(handle);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#serial.idle();
    await this.#transport.close();
  }

  // A password never crosses the bus: an HMAC session proves it. Nothing is loaded yet to which the session could be salted.
  async #authorized<Response>(
    command: TpmCommand<Response>,
    authorizations: readonly Authorization[],
  ): Promise<Response> {
    const [first, ...others] = authorizations;
    const authValue = first === 'password' ? this.#passwords.get(command.handles[0]?.handle ?? 0) : undefined;
    if (authValue === undefined) return this.#execute(command, authorizations);
    const nonceCaller = randomBytes(hashSize('sha256'));
    const started = await this.#execute(startAuthSession({ type: 'hmac', hash: 'sha256', nonceCaller }), []);
    const session = new TpmSession({ ...started, hash: 'sha256', key: new Uint8Array(0) });
    try {
      return await this.#execute(command, [{ session, authValue }, ...others]);
    } finally {
      await this.#execute(flushContext(session.handle), []);
    }
  }

  async #execute<Response>(command: TpmCommand<Response>, authorizations: readonly Authorization[]): Promise<Response> {
    const prepared = prepare(command, authorizations);
    const bytes = encodeCommand(command, prepared.entries, prepared.parameters);
    for (let attempt = 1; ; attempt++) {
      const response = parseResponse(await this.#transport.transmit(bytes), command, authorizations.length);
      if (response.kind === 'success') {
        const parameters = accept(command, prepared, response.parameters, response.authorizations);
        return parseParameters(command, parameters, response.handle);
      }
      const { responseCode } = response;
      if (!retryCodes.has(responseCode) || attempt === ATTEMPTS_MAX) {
        const isFailing = responseCode === failureCode && (await this.#isInFailureMode());
        throw refusal(command, responseCode, { hasPassword: prepared.session !== undefined, isFailing });
      }
      await delay(attemptPauseMilliseconds);
    }
  }

  // Some TPMs answer so for a blob that they cannot decrypt. One in failure mode answers nothing else to any command.
  async #isInFailureMode(): Promise<boolean> {
    const command = getRandom(1);
    const answer = parseResponse(await this.#transport.transmit(encodeCommand(command, [])), command, 0);
    return answer.kind === 'error' && answer.responseCode === failureCode;
  }
}

interface Prepared {
  readonly entries: readonly AuthorizationEntry[];
  readonly parameters: Uint8Array;
  readonly session: { readonly owner: TpmSession; readonly use: SessionUse; readonly index: number } | undefined;
}

function prepare(command: TpmCommand<unknown>, authorizations: readonly Authorization[]): Prepared {
  const entries: AuthorizationEntry[] = [];
  let parameters = command.parameters;
  let session: Prepared['session'];
  for (const [index, authorization] of authorizations.entries()) {
    if (authorization === 'password') {
      entries.push(emptyPassword);
      continue;
    }
    // With two, the first HMAC would have to cover the other's nonce (Part 1, 19.6.5); no command here needs two.
    if (session !== undefined) throw new TypeError(`${command.name}: at most one session authorizes a command`);
    const owner = authorization.session;
    const nonceCaller = randomBytes(hashSize(owner.state.hash));
    const secrecy = authorization.encrypt === true ? sessionAttributes.encrypt : 0;
    const { authValue } = authorization;
    const use = {
      session: owner.state,
      authValue,
      nonceCaller,
      attributes: sessionAttributes.continueSession | secrecy,
    };
    const authorized = authorizeCommand(command, use);
    entries.push(authorized.entry);
    parameters = authorized.parameters;
    session = { owner, use, index };
  }
  return { entries, parameters, session };
}

function accept(
  command: TpmCommand<unknown>,
  { session }: Prepared,
  parameters: Uint8Array,
  answers: readonly AuthorizationAnswer[],
): Uint8Array {
  const answer = session === undefined ? undefined : answers[session.index];
  if (session === undefined || answer === undefined) return parameters;
  const opened = openResponse(command, session.use, parameters, answer);
  session.owner.state = { ...session.owner.state, nonceTpm: opened.nonceTpm };
  return opened.parameters;
}
