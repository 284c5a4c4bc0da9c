// A device's one connection to the hub: mutual TLS 1.3, kept open, with HTTP/1.1 requests one after another. It lives once: when the hub cuts it,
// `closed` reports it at once, and its owner opens the next one.
import { hostHeader } from '@edgekeep/core/canonical/endpoint';
import { withoutZone } from '@edgekeep/core/canonical/host';
import { canonicalHostName } from '@edgekeep/core/canonical/host-name';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import type { TLSSocket } from 'node:tls';
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
import type { Proxy } from './proxy/proxy.ts';
import { ignoreError, lossError, openSecureSocket, wayTo } from './secure-socket.ts';
import type { TlsClientCredential, TlsClientInput } from './tls.ts';

export interface HubConnectionSettings {
  readonly host: string;
  readonly port: number;
  /** The local address to use; left out: the system's choice. */
  readonly localAddress?: string;
  /** The way there; left out: none, directly. */
  readonly proxy?: Proxy | undefined;
  /** The name in the server's certificate, if it is not `host`. */
  readonly serverName?: string;
  /** The only authorities that may vouch for the hub, PEM. */
  readonly authoritiesPem: readonly string[];
  /** Left out before there is one (enrollment). */
  readonly credential?: TlsClientCredential | undefined;
  /** As `TlsClientInput` has them. */
  readonly generalAuthority?: TlsClientInput['generalAuthority'];
  readonly acceptServer?: TlsClientInput['acceptServer'];
  /** Ends the attempt to connect. */
  readonly signal?: AbortSignal;
  readonly connectTimeoutMs?: number;
  readonly limits?: Partial<ExchangeLimits>;
}

const hubConnectionDefaults = {
  connectTimeoutMs: 10_000,
  // Answers are JSON documents and certificates; models are downloads.
  limits: { maxResponseLength: 1024 * 1024, requestTimeoutMs: 30_000, idleTimeoutMs: 30_000 },
} as const;

export class HubConnection {
  /** RFC 9266 channel binding. */
  readonly binding: Uint8Array;
  /** The verified path from the hub's certificate to its root. */
  readonly serverChain: readonly Certificate[];
  readonly #exchange: Exchange;
  readonly #closed = Promise.withResolvers<WireError>();
  #ended: WireError | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** Connects. The caller decides whether and when to try again. Throws WireError. */
  static async open(settings: HubConnectionSettings): Promise<HubConnection> {
    const { host, port, localAddress, proxy, authoritiesPem, credential, generalAuthority } = settings;
    let serverChain: readonly Certificate[] = [];
    const socket = await openSecureSocket({
      host,
      port,
      ...(localAddress && { localAddress }),
      proxy,
      serverName: settings.serverName ?? canonicalHostName(withoutZone(host)) ?? host,
      authoritiesPem,
      ...(generalAuthority && { generalAuthority }),
      acceptServer: (chain) => {
        settings.acceptServer?.(chain);
        serverChain = chain;
      },
      ...(credential && { credential }),
      connectTimeoutMs: settings.connectTimeoutMs ?? hubConnectionDefaults.connectTimeoutMs,
      signal: settings.signal ?? new AbortController().signal,
    });
    // Errors are reported by the exchange that meets them and by `closed`.
    socket.on('error', ignoreError);
    try {
      return new HubConnection(socket, serverChain, settings);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  private constructor(
    socket: TLSSocket,
    serverChain: readonly Certificate[],
    { limits, ...endpoint }: HubConnectionSettings,
  ) {
    this.serverChain = serverChain;
    this.binding = channelBinding(socket);
    this.#exchange = {
      socket,
      agent: new PreparedSocketAgent(socket),
      host: hostHeader(endpoint),
      where: wayTo(endpoint),
      limits: { ...hubConnectionDefaults.limits, ...limits },
    };
    socket.once('close', () => this.#drop(socket.errored ?? undefined));
  }

  /** Resolves, with the reason, when the connection ends. */
  get closed(): Promise<WireError> {
    return this.#closed.promise;
  }

  get connected(): boolean {
    return this.#ended === undefined;
  }

  /** Sends a request when its turn comes, and reads the whole answer. Never sent twice: the caller decides whether to retry. */
  request(input: HubRequest): Promise<HubResponse> {
    return this.#inTurn(input.signal, () => sendRequest(this.#exchange, input));
  }

  /** Streams a body, or a range of one, to `onChunk`, at the speed of `onChunk`. */
  download(input: DownloadRequest): Promise<DownloadResult> {
    return this.#inTurn(input.signal, () => sendDownload(this.#exchange, input));
  }

  /** Resolves when every request made before this call has been answered or has failed. */
  async idle(): Promise<void> {
    await this.#turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#drop(new WireError('closed', `${this.#exchange.where}: closed by its owner`));
    await this.#turn;
  }

  // Requests wait for the previous one, even if it failed.
  #inTurn<T>(signal: AbortSignal | undefined, act: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(async () => {
      if (this.#ended !== undefined) throw notSent(this.#ended);
      if (signal?.aborted === true) throw aborted();
      try {
        return await act();
      } catch (error) {
        // The rest of a failed exchange would be read as the answer to the next one.
        this.#drop(error instanceof Error ? error : undefined);
        throw error;
      }
    });
    this.#turn = mine.catch(ignoreError);
    return raceWithAbort(mine, signal);
  }

  #drop(cause: Error | undefined): void {
    if (this.#ended !== undefined) return;
    const { socket, where } = this.#exchange;
    const reason = lossError(cause, where);
    this.#ended = reason;
    socket.destroy(reason);
    this.#closed.resolve(reason);
  }
}

/** For a request behind the end of its connection, which may be the fault of another request. */
function notSent(ended: WireError): WireError {
  if (ended.code === 'closed') return ended;
  return new WireError('connection-lost', `the connection ended before this request was sent: ${ended.message}`);
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
