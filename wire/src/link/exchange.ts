// One HTTP/1.1 exchange over a prepared TLS connection. node:http writes and parses; limits, time-outs and error codes are our own.
import { Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { WireError } from '../error.ts';
import { codeOf } from './other-end/connect-failure.ts';
import { lossError } from './secure-socket.ts';

/** Names, digests and a token or two; the same as Node's default. */
const RESPONSE_HEADER_LENGTH_MAX = 16 * 1024;

export interface HubRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly body?: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface HubResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

export interface ExchangeLimits {
  readonly maxResponseLength: number;
  /** For all of a request, body included. */
  readonly requestTimeoutMs: number;
  /** For the longest silence inside a download. */
  readonly idleTimeoutMs: number;
}

/** Gives node:http one socket, once, and keeps it between requests as long as the other end does. */
export class PreparedSocketAgent extends Agent {
  readonly #socket: TLSSocket;
  #given = false;

  constructor(socket: TLSSocket) {
    super({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
    this.#socket = socket;
  }

  override createConnection(): Duplex {
    // A second connection would not be bound: it has another channel binding.
    if (this.#given) throw new WireError('connection-lost', 'the connection ended before the request was sent');
    this.#given = true;
    return this.#socket;
  }

  // Node's own version lets the socket be garbage collected and follows the server's keep-alive hint; here the hub decides the life of the
  // socket.
  override keepSocketAlive(): boolean {
    return true;
  }
}

export interface Exchange {
  readonly agent: Agent;
  readonly socket: TLSSocket;
  /** Host header. */
  readonly host: string;
  /** The other end for people, with the proxy on the way. */
  readonly where: string;
  readonly limits: ExchangeLimits;
}

/** Sends a request and reads the whole answer, with a limit. After a WireError the connection must not be used again. */
export async function sendRequest(exchange: Exchange, input: HubRequest): Promise<HubResponse> {
  const { requestTimeoutMs } = exchange.limits;
  using deadline = new Deadline(exchange.socket, exchange.where);
  deadline.arm(requestTimeoutMs, `no complete answer within ${requestTimeoutMs} ms`);
  using _ = abortWith(exchange.socket, input.signal);
  try {
    return await readWhole(await headOf(exchange, input), exchange);
  } catch (error) {
    throw exchangeError(error, exchange);
  }
}

export interface DownloadRequest {
  readonly path: string;
  /** The requested bytes; all of them when left out. A server may send fewer than `length`, never others. */
  readonly range?: { readonly start: number; readonly length?: number };
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Called with each piece in order; the next one is read when its promise settles. If it throws, the download ends with that error. */
  readonly onChunk: (chunk: Uint8Array) => void | Promise<void>;
}

export type DownloadResult =
  | { readonly kind: 'complete'; readonly length: number; readonly headers: IncomingHttpHeaders }
  /** Any other answer than the bytes: the hub's reason is in the body. */
  | { readonly kind: 'answered'; readonly response: HubResponse };

/** Streams a body, or a range of it, to `onChunk`. After an error the connection must not be used again. */
export async function sendDownload(exchange: Exchange, input: DownloadRequest): Promise<DownloadResult> {
  const { idleTimeoutMs } = exchange.limits;
  const { path, range, signal, onChunk } = input;
  const headers = { ...input.headers, ...(range && { range: rangeHeader(range) }) };
  using deadline = new Deadline(exchange.socket, exchange.where);
  using _ = abortWith(exchange.socket, signal);
  const silence = `nothing came for ${idleTimeoutMs} ms`;
  deadline.arm(idleTimeoutMs, silence);
  let length = 0;
  let fromCaller: unknown;
  try {
    const response = await headOf(exchange, { method: 'GET', path, headers });
    if (response.statusCode !== (range === undefined ? 200 : 206)) {
      return { kind: 'answered', response: await readWhole(response, exchange) };
    }
    const expected = range === undefined ? undefined : contentRangeLength(response, range);
    for await (const chunk of bytesOf(response)) {
      deadline.disarm();
      length += chunk.length;
      if (expected !== undefined && length > expected) throw invalid(exchange, 'more bytes than the range has');
      try {
        await onChunk(chunk);
      } catch (error) {
        fromCaller = error;
        throw error;
      }
      deadline.arm(idleTimeoutMs, silence);
    }
    if (expected !== undefined && length !== expected) throw invalid(exchange, 'fewer bytes than the range has');
    return { kind: 'complete', length, headers: response.headers };
  } catch (error) {
    throw fromCaller === undefined ? exchangeError(error, exchange) : fromCaller;
  }
}

function rangeHeader({ start, length }: { readonly start: number; readonly length?: number }): string {
  return `bytes=${start}-${length === undefined ? '' : start + length - 1}`;
}

// RFC 9110 section 14.4.
function contentRangeLength(
  response: IncomingMessage,
  range: { readonly start: number; readonly length?: number },
): number {
  const text = response.headers['content-range'] ?? '';
  const [, first, last] = /^bytes (\d{1,15})-(\d{1,15})\/(?:\d{1,15}|\*)$/.exec(text) ?? [];
  const length = Number(last) - Number(first) + 1;
  if (Number(first) !== range.start || !(length > 0) || length > (range.length ?? Number.MAX_SAFE_INTEGER)) {
    throw new WireError('response-invalid', `asked for ${rangeHeader(range)}, the answer says ${JSON.stringify(text)}`);
  }
  return length;
}

function headOf(exchange: Exchange, input: HubRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const body = typeof input.body === 'string' ? Buffer.from(input.body, 'utf8') : input.body;
  const sent: ClientRequest = request({
    agent: exchange.agent,
    method: input.method,
    path: input.path,
    headers: { ...input.headers, host: exchange.host, ...(body && { 'content-length': body.length }) },
    maxHeaderSize: RESPONSE_HEADER_LENGTH_MAX,
    insecureHTTPParser: false,
  });
  // A later error belongs to the response, which reports it; the listener stays so that it is never unhandled.
  sent.on('error', reject);
  sent.once('response', resolve);
  // An answer that offers another protocol (status 101) is no response and no error to node:http: it only ends the connection.
  sent.once('close', () => reject(lossError(undefined, exchange.where)));
  sent.end(body);
  return promise;
}

async function readWhole(response: IncomingMessage, exchange: Exchange): Promise<HubResponse> {
  const { maxResponseLength } = exchange.limits;
  const tooLarge = () =>
    new WireError('response-too-large', `${exchange.where}: an answer of over ${maxResponseLength} bytes`);
  if (Number(response.headers['content-length'] ?? 0) > maxResponseLength) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of bytesOf(response)) {
    length += chunk.length;
    if (length > maxResponseLength) throw tooLarge();
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks, length) };
}

async function* bytesOf(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  for await (const chunk of response) {
    if (chunk instanceof Uint8Array) yield chunk;
  }
}

/** Destroys the connection after a time-out; the exchange then fails with `timeout`. */
class Deadline {
  readonly #socket: TLSSocket;
  readonly #where: string;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: TLSSocket, where: string) {
    this.#socket = socket;
    this.#where = where;
  }

  arm(timeoutMs: number, problem: string): void {
    this.disarm();
    this.#timer = setTimeout(
      () => this.#socket.destroy(new WireError('timeout', `${this.#where}: ${problem}`)),
      timeoutMs,
    );
  }

  disarm(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.disarm();
  }
}

// HTTP/1.1 cannot cancel a request, so an abort costs the connection.
function abortWith(socket: TLSSocket, signal: AbortSignal | undefined): Disposable {
  const abort = () => socket.destroy(new WireError('aborted', 'the request was aborted'));
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort);
  return { [Symbol.dispose]: () => signal?.removeEventListener('abort', abort) };
}

function exchangeError(error: unknown, exchange: Exchange): WireError {
  const { errored } = exchange.socket;
  if (errored instanceof WireError) return errored;
  if (error instanceof WireError) return error;
  const code = codeOf(error);
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new WireError('response-too-large', `${exchange.where}: headers over ${RESPONSE_HEADER_LENGTH_MAX} bytes`);
  }
  if (code.startsWith('HPE_')) return invalid(exchange, 'not HTTP/1.1', error);
  if (code === 'ERR_INVALID_CHAR' || code === 'ERR_UNESCAPED_CHARACTERS' || code === 'ERR_HTTP_INVALID_HEADER_VALUE') {
    return new WireError('settings-invalid', 'a request with characters HTTP does not allow', { cause: error });
  }
  return lossError(error instanceof Error ? error : undefined, exchange.where);
}

function invalid(exchange: Exchange, problem: string, cause?: unknown): WireError {
  return new WireError('response-invalid', `${exchange.where}: the answer is invalid: ${problem}`, { cause });
}
