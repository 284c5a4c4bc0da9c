// The agent's one live connection to the hub, kept as long as the agent runs: gets a certificate when there is none, binds every new
// connection to the root of trust, renews ahead of time with the next connection bound before the last is closed, and backs off after
// failures.
import { evidenceDocument } from '@edgekeep/core/attest/evidence';
import { NONCE_LENGTH, qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { parseBase64url } from '@edgekeep/core/bytes';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { Serial } from '@edgekeep/host/serial';
import { WireError } from '@edgekeep/wire/error';
import { OneOf } from './one-of.ts';
import { type BackoffSettings, backoffDelayMs, failuresAfter } from '@edgekeep/wire/link/backoff';
import { bindResponse, challengeResponse, type ImaLogKnown } from '@edgekeep/wire/api/attest';
import type { DownloadRequest, DownloadResult } from '@edgekeep/wire/link/exchange';
import { HubConnection, type HubConnectionSettings } from '@edgekeep/wire/link/hub-connection';
import type { Proxy } from '@edgekeep/wire/link/proxy/proxy';
import type { Prover } from '../attest/attest.ts';
import { AgentError } from '../error.ts';
import { isFinal } from '../final-cause.ts';
import { type Answer, postToHub, type Refusal, type Send } from '../hub-api.ts';
import type { HubChannel, Identity } from './identity.ts';
import type { HubTime } from './hub-time.ts';
import { type Clocks, readClocks } from './lifetime.ts';
import type { Credential } from './operational-key.ts';
import { pause, waitUntilDue } from '../wait.ts';

/** An open challenge: only an answer on this connection counts. */
export interface Challenge {
  readonly nonce: Uint8Array;
  readonly pcrs: readonly number[];
  /** TLS exporter of the connection on which it was asked. */
  readonly exporter: Uint8Array;
  readonly send: Send;
  /** How much of this device's IMA log the hub has appraised. */
  readonly known: ImaLogKnown | undefined;
}

/** What the hub said when it bound a connection. */
export interface Bound {
  /** The device's state at the hub. */
  readonly state: string;
  /** What the hub makes of the evidence that bound the connection; undefined from a hub of the version before, and where the policy forbids it. */
  readonly attestation: { readonly token: string; readonly nonce: Uint8Array } | undefined;
}

export interface HubLinkDependencies {
  readonly hub: Pick<HubConnectionSettings, 'host' | 'port' | 'serverName' | 'acceptServer'>;
  /** Other nodes of the same hub; left out: none. */
  readonly otherAddresses?: readonly Pick<HubConnectionSettings, 'host' | 'port'>[];
  /** The proxy on the way; called before each connection, because its credentials change. Left out: none. */
  readonly proxy?: () => Promise<Proxy>;
  /** The roots that may vouch for the hub, PEM; called before each connection, because a device learns new ones. */
  readonly authorities: () => readonly string[];
  /** Whether a CA without a class may have issued the hub's certificate; called likewise. */
  readonly generalAuthority: () => 'accepted' | 'refused';
  readonly prover: Prover;
  /** Enrolls or recovers, on a connection without a certificate. */
  readonly acquire: (channel: HubChannel) => Promise<Answer<Identity>>;
  readonly renew: (channel: HubChannel) => Promise<Answer<Identity>>;
  /** Keeps into which PCR the hub expects the stages from the next boot on; left out: nothing keeps it. */
  readonly learnStagePcr?: (pcr: number) => Promise<void>;
  readonly onConnected: (bound: Bound) => void;
  readonly onDisconnected: (why: string) => void;
  readonly onRenewed: (notAfterMs: number) => void;
  /** The hub refused the device itself: `step` is `certificate`, `bind` or `renewal`. */
  readonly onRefused: (step: string, refusal: Refusal) => void;
  readonly onFailed: (error: unknown) => void;
  readonly backoff: BackoffSettings;
  readonly clocks: Clocks;
  /** Sees every answer. */
  readonly hubTime: HubTime;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export type LinkCallbacks = Pick<
  HubLinkDependencies,
  'onConnected' | 'onDisconnected' | 'onRenewed' | 'onRefused' | 'onFailed'
>;

const zeroNonce = new Uint8Array(NONCE_LENGTH);
/** A certificate with less remaining life than this is not worth a connection. */
const LIFE_LEFT_MS_MIN = 5_000;
/** A failed renewal is tried again after this part of the remaining life, within the bounds of `renewalBackoff` and an hour. */
const renewalRetryPart = 0.1;
const renewalBackoff = { firstDelayMs: 1_000, maxDelayMs: 300_000 } as const;
const RENEWAL_RETRY_MS_MAX = 3_600_000;
/** Refusals that another certificate may resolve. */
const certificateCodes: readonly string[] = [
  'certificate-revoked',
  'certificate-required',
  'bind-refused',
  'device-unknown',
];

type Attempt =
  | { readonly kind: 'up'; readonly connection: HubConnection; readonly bound: Bound }
  | { readonly kind: 'down' }
  /** No further attempt can succeed. */
  | { readonly kind: 'final' };

export class HubLink {
  readonly #dependencies: HubLinkDependencies;
  readonly #disposal = new AbortController();
  readonly #challenges = new Serial();
  readonly #nodes: OneOf<Pick<HubConnectionSettings, 'host' | 'port'>>;
  #hybridKey: string | undefined;
  readonly #running: Promise<void>;
  #identity: Identity | undefined;
  #connection: HubConnection | undefined;
  #failure: string | undefined;
  #renewalFailures = 0;
  /** Of this certificate; a little earlier by chance, so that a fleet does not renew at the same time. */
  #renewalShare = 0;

  /** Connects at once and continues until disposal. */
  constructor(dependencies: HubLinkDependencies) {
    this.#dependencies = dependencies;
    const { hub, otherAddresses = [], random } = dependencies;
    this.#nodes = new OneOf([hub, ...otherAddresses], random);
    this.#running = this.#run();
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** The code of the last attempt, where it failed before the hub answered; undefined once there is a connection. */
  get failure(): string | undefined {
    return this.#failure;
  }

  get credential(): Credential | undefined {
    return this.#identity?.credential;
  }

  /** The verified path of the hub's certificate on the live connection, leaf first; undefined without one. */
  get serverChain(): readonly Certificate[] | undefined {
    return this.#connection?.serverChain;
  }

  /**
   * SHA-256 of this device's hybrid key as the hub knows it, hex; empty: none. Undefined from a hub that wraps for no such key, and before the
   * first connection.
   */
  get hybridKey(): string | undefined {
    return this.#hybridKey;
  }

  /** The hub has taken this key meanwhile. */
  noteHybridKey(sha256: string): void {
    this.#hybridKey = sha256;
  }

  /** The PCRs that the hub wants quoted; undefined before the first certificate. */
  get pcrs(): readonly number[] | undefined {
    return this.#identity?.pcrs;
  }

  /** Sends on the live, bound connection; throws `hub-offline` when there is none. */
  readonly send: Send = (input) => this.#sendOn(this.#live())(input);

  download(input: DownloadRequest): Promise<DownloadResult> {
    return this.#live().download(input);
  }

  /** Asks for a challenge and lets `answer` use it; only one at a time, because a connection has one open challenge. */
  withChallenge<T>(answer: (challenge: Challenge) => Promise<Answer<T>>): Promise<Answer<T>> {
    return this.#challenges.run(async () => {
      const connection = this.#live();
      const send = this.#sendOn(connection);
      const challenge = await postToHub(send, '/v1/challenges', undefined, challengeResponse);
      if (challenge.kind === 'refused') return challenge;
      const exporter = connection.binding;
      const { nonce, pcrs, imaLog: known } = challenge.value;
      return answer({ nonce: parseBase64url(nonce, 'nonce'), pcrs, exporter, send, known });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal.abort();
    await this.#running;
    this.#identity = undefined;
  }

  #sendOn(connection: HubConnection): Send {
    return this.#dependencies.hubTime.heardOn((input) => connection.request(input));
  }

  #live(): HubConnection {
    if (this.#connection === undefined) throw offline();
    return this.#connection;
  }

  async #run(): Promise<void> {
    const { signal } = this.#disposal;
    const { backoff, random } = this.#dependencies;
    let failures = 0;
    while (!signal.aborted) {
      await pause(backoffDelayMs(backoff, failures, random()), signal);
      if (signal.aborted) return;
      failures += 1;
      const attempt = await this.#attempt();
      if (attempt.kind === 'final') return;
      const since = performance.now();
      if (attempt.kind === 'up') await this.#stay(attempt);
      // Not the one that was not reached, refused, or ended: another may be there.
      this.#nodes.change();
      if (attempt.kind === 'down') continue;
      failures = failuresAfter(failures, performance.now() - since);
    }
  }

  async #attempt(): Promise<Attempt> {
    const { acquire, clocks, onRefused, onFailed } = this.#dependencies;
    try {
      const left = this.#identity?.credential.life.leftMs(readClocks(clocks)) ?? 0;
      if (this.#identity === undefined || left < LIFE_LEFT_MS_MIN) {
        await using door = await this.#connect(undefined);
        using _ = this.#disposing(door);
        const acquired = await acquire({ send: this.#sendOn(door), exporter: door.binding });
        if (acquired.kind === 'refused') {
          onRefused('certificate', acquired);
          return { kind: 'down' };
        }
        this.#take(acquired.value);
        return await this.#open(acquired.value);
      }
      return await this.#open(this.#identity);
    } catch (error) {
      this.#failure = error instanceof WireError ? error.code : undefined;
      if (!this.#disposal.signal.aborted) onFailed(error);
      return { kind: isFinal(error) ? 'final' : 'down' };
    }
  }

  async #connect(credential: Credential | undefined): Promise<HubConnection> {
    const { hub, authorities, generalAuthority } = this.#dependencies;
    const { signal } = this.#disposal;
    const proxy = await this.#dependencies.proxy?.();
    const trusted = { authoritiesPem: authorities(), generalAuthority: generalAuthority() };
    const { host, port } = this.#nodes.current;
    return HubConnection.open({ ...hub, host, port, ...trusted, proxy, credential, signal });
  }

  /** A connection that is bound before any other request on it, or the reason against it, which `onRefused` has received. */
  async #open(identity: Identity): Promise<Attempt> {
    const connection = await this.#connect(identity.credential);
    try {
      using _ = this.#disposing(connection);
      const answer = await this.#bind(connection, identity.pcrs);
      if (answer.kind === 'ok') return { kind: 'up', connection, bound: answer.value };
      await connection[Symbol.asyncDispose]();
      this.#dependencies.prover.refused(answer.code);
      if (certificateCodes.includes(answer.code)) this.#identity = undefined;
      this.#dependencies.onRefused('bind', answer);
      return { kind: 'down' };
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #bind(connection: HubConnection, pcrs: readonly number[]): Promise<Answer<Bound>> {
    const send = this.#sendOn(connection);
    const exporter = connection.binding;
    const hub = { send, known: 'remembered' } as const;
    const evidence = await this.#dependencies.prover.evidence('bind', zeroNonce, exporter, pcrs, hub);
    const body = { evidence: evidenceDocument(evidence) };
    const answer = await postToHub(send, '/v1/bind', body, bindResponse);
    if (answer.kind === 'refused') return answer;
    const { state, attestationResult: token, imaLog, stagePcr, hybridKey } = answer.value;
    this.#hybridKey = hybridKey;
    if (stagePcr !== undefined) await this.#dependencies.learnStagePcr?.(stagePcr);
    if (imaLog !== undefined) this.#dependencies.prover.learn(imaLog);
    const nonce = qualifyingData('bind', zeroNonce, exporter);
    return { kind: 'ok', value: { state, attestation: token === undefined ? undefined : { token, nonce } } };
  }

  /** Uses this connection, and those that follow it by renewal, until one ends. */
  async #stay(first: Extract<Attempt, { kind: 'up' }>): Promise<void> {
    let { connection } = first;
    this.#connection = connection;
    this.#failure = undefined;
    this.#dependencies.onConnected(first.bound);
    const { signal } = this.#disposal;
    for (;;) {
      const over = new AbortController();
      const ended = connection.closed.then((reason) => reason.message);
      const due = this.#untilRenewal(AbortSignal.any([signal, over.signal])).then(() => undefined);
      const why = await Promise.race([ended, due]);
      over.abort();
      if (why !== undefined || signal.aborted) {
        this.#connection = undefined;
        await connection[Symbol.asyncDispose]();
        if (why !== undefined) this.#dependencies.onDisconnected(why);
        return;
      }
      const next = await this.#renewed();
      if (next === undefined) {
        this.#renewalFailures += 1;
        if (!this.#isOver()) continue;
        // The hub answers nothing under a certificate that has ended; recovery gets another one.
        this.#connection = undefined;
        await connection[Symbol.asyncDispose]();
        this.#dependencies.onDisconnected('the certificate ended before it could be renewed');
        return;
      }
      const last = connection;
      connection = next;
      this.#connection = next;
      void this.#retire(last);
    }
  }

  /** Closes a connection after the answers to its open requests; sends no new request on it. */
  async #retire(connection: HubConnection): Promise<void> {
    using _ = this.#disposing(connection);
    // A challenge is answered on the connection on which it was asked for.
    await this.#challenges.idle();
    await connection.idle();
    await connection[Symbol.asyncDispose]();
  }

  /** The next connection, under the next certificate; undefined when there is no certificate yet. */
  async #renewed(): Promise<HubConnection | undefined> {
    const { renew, onRefused, onRenewed, onFailed } = this.#dependencies;
    try {
      const answer = await this.#challenges.run(() => {
        const connection = this.#live();
        return renew({ send: this.#sendOn(connection), exporter: connection.binding });
      });
      if (answer.kind === 'refused') {
        onRefused('renewal', answer);
        return undefined;
      }
      const before = this.#identity;
      this.#identity = answer.value;
      const attempt = await this.#open(answer.value);
      if (attempt.kind !== 'up') {
        this.#identity = before;
        return undefined;
      }
      this.#take(answer.value);
      onRenewed(answer.value.credential.notAfterMs);
      return attempt.connection;
    } catch (error) {
      if (!this.#disposal.signal.aborted) onFailed(error);
      return undefined;
    }
  }

  #take(identity: Identity): void {
    this.#identity = identity;
    this.#renewalFailures = 0;
    this.#renewalShare = 2 / 3 - this.#dependencies.random() / 15;
  }

  #isOver(): boolean {
    const { credential } = this.#identity ?? {};
    return credential !== undefined && credential.life.leftMs(readClocks(this.#dependencies.clocks)) <= 0;
  }

  /** Resolves when the renewal is due: after its share of the certificate's life, or after a pause when one has failed. */
  async #untilRenewal(signal: AbortSignal): Promise<void> {
    const { clocks, random } = this.#dependencies;
    const { life } = this.#identity?.credential ?? {};
    if (life === undefined) return pause(LIFE_LEFT_MS_MIN, signal);
    if (this.#renewalFailures > 0) {
      const leastMs = backoffDelayMs(renewalBackoff, this.#renewalFailures, random());
      const ofTheRest = Math.min(RENEWAL_RETRY_MS_MAX, life.leftMs(readClocks(clocks)) * renewalRetryPart);
      return pause(Math.max(leastMs, ofTheRest), signal);
    }
    return waitUntilDue(() => life.untilRenewalMs(readClocks(clocks), this.#renewalShare), signal);
  }

  /** Ends a connection that is being made if the agent stops meanwhile. */
  #disposing(connection: HubConnection): Disposable {
    const stop = () => void connection[Symbol.asyncDispose]();
    const { signal } = this.#disposal;
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    return { [Symbol.dispose]: () => signal.removeEventListener('abort', stop) };
  }
}

function offline(): AgentError {
  return new AgentError('hub-offline', 'there is no connection to the hub now');
}
