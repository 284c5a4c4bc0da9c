// A device's one connection to the hub: mutual TLS 1.3, kept open, with HTTP/1.1 requests one after another. On every new connection a hook
// runs first, in which the device proves that it holds its root of trust. When the hub cuts the connection, `closed` reports it at once.
import { canonicalHostName } from '@edgekeep/core/canonical/host-name';
import type { TLSSocket } from 'node:tls';
import { backoffDelayMs, type BackoffSettings, failuresAfter } from './backoff.ts';
import { channelBinding } from './channel-binding.ts';
import { WireError } from '../error.ts';
import {
  type DownloadRequest,
  type DownloadResult,
  type Exchange,
  type ExchangeLimits,
  type HubRequest,
  type HubResponse,
  PreparedSocketAgent,
  sendDownload,
  sendRequest,
} from './exchange.ts';
import { ignoreError, lossError, openSecureSocket } from './secure-socket.ts';
import { peerChain, type TlsClientCredential } from './tls.ts';

/** Sends one request on the new connection, before all waiting requests. */
export type SendOnConnect = (input: HubRequest) => Promise<HubResponse>;

export interface HubConnectionSettings {
  readonly host: string;
  readonly port: number;
  /** The local address to use; left out: the system's choice. */
  readonly localAddress?: string;
  /** The name in the server's certificate, if it is not `host`. */
  readonly serverName?: string;
  /** The only authorities that may vouch for the hub, PEM. */
  readonly authoritiesPem: readonly string[];
  /** Asked before each connection, so a renewed certificate is used from the next one on; undefined while there is none (enrollment). */
  readonly credential?: () => TlsClientCredential | undefined;
  /** Gets the server's verified chain (DER, leaf first) on each new connection; if it throws, the connection is dropped. */
  readonly acceptServer?: ((chain: readonly Uint8Array[]) => void) | undefined;
  /** Runs once on each new connection before any other request; `binding` is its RFC 9266 value. If it throws, the connection is dropped. */
  readonly onConnect?: (binding: Uint8Array, send: SendOnConnect) => Promise<void>;
  /** Uniform in [0, 1), for the jitter. */
  readonly random: () => number;
  readonly connectTimeoutMs?: number;
  readonly limits?: Partial<ExchangeLimits>;
  readonly backoff?: BackoffSettings;
}

const hubConnectionDefaults = {
  connectTimeoutMs: 10_000,
  // Answers are JSON documents and certificates; models are downloads.
  limits: { maxResponseLength: 1024 * 1024, requestTimeoutMs: 30_000, idleTimeoutMs: 30_000 },
  backoff: { firstDelayMs: 500, maxDelayMs: 60_000 },
} as const;

interface Link extends Exchange {
  readonly binding: Uint8Array;
  readonly serverChain: readonly Uint8Array[];
  readonly since: number;
}

export class HubConnection {
  readonly #settings: HubConnectionSettings;
  readonly #disposal = new AbortController();
  readonly #where: string;
  #link: Link | undefined;
  #connecting: Promise<Link> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #failures = 0;
  #closed = Promise.withResolvers<WireError>();

  /** Does nothing yet: the first request, or `connect`, opens the connection; from then on it is kept open until disposal. */
  constructor(settings: HubConnectionSettings) {
    this.#settings = settings;
    this.#where = `${settings.host}:${settings.port}`;
  }

  /** Resolves, with the reason, when the present connection ends, or the next one if there is none now. */
  get closed(): Promise<WireError> {
    return this.#closed.promise;
  }

  get connected(): boolean {
    return this.#link !== undefined;
  }

  /** The channel binding of the present connection. */
  get binding(): Uint8Array | undefined {
    return this.#link?.binding;
  }

  /** What the hub presented on the present connection, with its issuers, DER, leaf first. */
  get serverChain(): readonly Uint8Array[] | undefined {
    return this.#link?.serverChain;
  }

  /** Opens the connection and runs the hook. After failures it first waits its backoff; the attempt's own error is thrown. */
  async connect(): Promise<void> {
    await this.#linked();
  }

  /** Sends a request when its turn comes, and reads the whole answer. Never sent twice: the caller decides whether to retry. */
  request(input: HubRequest): Promise<HubResponse> {
    return this.#inTurn(input.signal, (link) => sendRequest(link, input));
  }

  /** Streams a body, or a range of one, to `onChunk`, at the speed of `onChunk`. */
  download(input: DownloadRequest): Promise<DownloadResult> {
    return this.#inTurn(input.signal, (link) => sendDownload(link, input));
  }

  /** Resolves when every request made before this call has been answered or has failed. */
  async idle(): Promise<void> {
    await this.#turn;
  }

  /** Drops the present connection and connects again with the present credential, for example after a renewal. */
  async reconnect(): Promise<void> {
    await this.#inTurn(undefined, async (link) => {
      this.#failures = 0;
      const reason = new WireError('closed', `${this.#where}: reconnecting`);
      link.socket.destroy(reason);
      this.#drop(link, reason);
    });
    await this.connect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal.abort();
    this.#link?.socket.destroy(new WireError('closed', `${this.#where}: closed by its owner`));
    await this.#connecting?.catch(ignoreError);
    await this.#turn;
  }

  // Requests wait for the previous one, even if it failed.
  #inTurn<T>(signal: AbortSignal | undefined, act: (link: Link) => Promise<T>): Promise<T> {
    const mine = this.#turn.then(async () => {
      const link = await this.#linked();
      if (signal?.aborted === true) throw aborted();
      try {
        return await act(link);
      } catch (error) {
        // The rest of a failed exchange would be read as the answer to the next one.
        link.socket.destroy();
        this.#drop(link, error instanceof Error ? error : undefined);
        throw error;
      }
    });
    this.#turn = mine.catch(ignoreError);
    return raceWithAbort(mine, signal);
  }

  async #linked(): Promise<Link> {
    if (this.#disposal.signal.aborted) throw new WireError('closed', `${this.#where}: closed by its owner`);
    if (this.#link !== undefined) return this.#link;
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #open(): Promise<Link> {
    const { random, backoff = hubConnectionDefaults.backoff } = this.#settings;
    await waitOrAbort(backoffDelayMs(backoff, this.#failures, random()), this.#disposal.signal);
    // Counted now and forgiven when the connection has proven stable.
    this.#failures += 1;
    const link = await this.#openLink();
    link.socket.once('close', () => this.#drop(link, link.socket.errored ?? undefined));
    await this.#runHook(link);
    if (link.socket.destroyed) throw lossError(link.socket.errored ?? undefined, this.#where);
    this.#link = link;
    return link;
  }

  async #openLink(): Promise<Link> {
    const {
      host,
      port,
      localAddress,
      serverName = canonicalHostName(host) ?? host,
      authoritiesPem,
      credential,
      connectTimeoutMs,
      limits,
    } = this.#settings;
    const own = credential?.();
    const socket: TLSSocket = await openSecureSocket({
      host,
      port,
      ...(localAddress && { localAddress }),
      serverName,
      authoritiesPem,
      ...(own && { credential: own }),
      connectTimeoutMs: connectTimeoutMs ?? hubConnectionDefaults.connectTimeoutMs,
      signal: this.#disposal.signal,
    });
    // Errors are reported by the exchange that meets them and by `closed`.
    socket.on('error', ignoreError);
    const serverChain = peerChain(socket);
    this.#accept(socket, serverChain);
    return {
      socket,
      agent: new PreparedSocketAgent(socket),
      host: this.#where,
      limits: { ...hubConnectionDefaults.limits, ...limits },
      binding: channelBinding(socket),
      serverChain,
      since: performance.now(),
    };
  }

  #accept(socket: TLSSocket, serverChain: readonly Uint8Array[]): void {
    try {
      this.#settings.acceptServer?.(serverChain);
    } catch (cause) {
      socket.destroy();
      const text = cause instanceof Error ? cause.message : String(cause);
      throw new WireError('tls-refused', `${this.#where}: the server was refused: ${text}`, { cause });
    }
  }

  async #runHook(link: Link): Promise<void> {
    try {
      await this.#settings.onConnect?.(link.binding, (input) => sendRequest(link, input));
    } catch (cause) {
      link.socket.destroy();
      const text = cause instanceof Error ? cause.message : String(cause);
      throw new WireError('connect-hook-failed', `${this.#where}: the new connection was dropped: ${text}`, { cause });
    }
  }

  #drop(link: Link, cause: Error | undefined): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#failures = failuresAfter(this.#failures, performance.now() - link.since);
    this.#closed.resolve(lossError(cause, this.#where));
    this.#closed = Promise.withResolvers();
    this.#keepTrying();
  }

  // The backoff inside spaces failures; a request that arrives meanwhile joins the attempt under way and gets its error.
  #keepTrying(): void {
    if (this.#disposal.signal.aborted) return;
    // `closed` and the waiting callers have the error; the backoff inside limits how often this happens.
    this.#linked().catch(() => this.#keepTrying());
  }
}

function aborted(): WireError {
  return new WireError('aborted', 'the request was aborted');
}

/** Reports an abort to the caller at once, even while the request still waits for its turn. */
async function raceWithAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(aborted());
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function waitOrAbort(delayMs: number, signal: AbortSignal): Promise<void> {
  if (delayMs === 0 || signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, delayMs);
  const abort = () => {
    clearTimeout(timer);
    resolve();
  };
  signal.addEventListener('abort', abort, { once: true });
  return promise.finally(() => signal.removeEventListener('abort', abort));
}
