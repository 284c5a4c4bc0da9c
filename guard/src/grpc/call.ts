// One gRPC call: its deadline, its answers, and its outcome in trailers.
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { GuardError } from '../error.ts';
import { acceptedEncodings, frame } from './frames.ts';
import { type GrpcStatus, statusHeaders } from './status.ts';
import { IDLE_MS_MAX } from '../limits.ts';

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
/** Longer than any call lives; Node's timers take no more. */
const DEADLINE_MS_MAX = 2 ** 31 - 1;
const headers = { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': acceptedEncodings };

export class GrpcCall implements Disposable {
  readonly stream: ServerHttp2Stream;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Who waits now. A promise of the whole call would keep every message that was raced with it until the call ends. */
  readonly #waiting = new Set<(error: GuardError) => void>();
  #over: GuardError | undefined;

  /** @throws GuardError `request-invalid` for a deadline that is none */
  constructor(stream: ServerHttp2Stream) {
    this.stream = stream;
    stream.setTimeout(IDLE_MS_MAX, () => stream.close(constants.NGHTTP2_CANCEL));
    stream.on('error', () => undefined);
    stream.on('close', () => this.#end(new GuardError('request-invalid', 'the call was ended')));
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** What `work` resolves to; rejects at the deadline, and when the client ends the call. */
  async orEnd<T>(work: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.add(reject);
    work.then(resolve, reject);
    if (this.#over !== undefined) reject(this.#over);
    try {
      return await promise;
    } finally {
      this.#waiting.delete(reject);
    }
  }

  /** Ends the call after this time, unless the returned function is called before. */
  limit(milliseconds: number, why: string): () => void {
    const timer = setTimeout(() => this.#end(new GuardError('deadline-exceeded', why)), milliseconds);
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
      clearTimeout(timer);
    };
  }

  /** The client may wait as long as it likes, and hears nothing meanwhile. */
  keepOpen(): void {
    this.stream.setTimeout(0);
  }

  /** Without an outcome of gRPC: the client does not speak it. It may have ended the call with the same bytes that began it. */
  refuse(status: number): void {
    const { stream } = this;
    if (!stream.destroyed && !stream.closed) stream.respond({ ':status': status }, { endStream: true });
  }

  /** Resolves when the client can take more. */
  async send(message: Uint8Array): Promise<void> {
    const { stream } = this;
    if (stream.destroyed) return;
    if (!stream.headersSent) stream.respond(headers, { waitForTrailers: true });
    if (stream.write(frame(message))) return;
    const drained = Promise.withResolvers<void>();
    stream.once('drain', drained.resolve);
    await this.orEnd(drained.promise);
  }

  finish(status: GrpcStatus): void {
    const { stream } = this;
    if (stream.destroyed || stream.closed) return;
    if (stream.headersSent) {
      stream.once('wantTrailers', () => {
        stream.sendTrailers(statusHeaders(status));
        setImmediate(() => this.#forget());
      });
      stream.end();
    } else {
      stream.respond({ ...headers, ...statusHeaders(status) }, { endStream: true });
      this.#forget();
    }
  }

  #end(error: GuardError): void {
    this.#over ??= error;
    for (const reject of this.#waiting) reject(error);
  }

  /** A client that still sends would hold the memory of its message: the answer is complete, so it may stop (RFC 9113 section 8.1). */
  #forget(): void {
    const { stream } = this;
    if (!stream.readableEnded && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

/** Milliseconds; undefined for a call without a deadline. @throws GuardError `request-invalid` */
export function deadlineOf({ 'grpc-timeout': text }: IncomingHttpHeaders): number | undefined {
  if (text === undefined) return undefined;
  const [, digits, unit = ''] = (typeof text === 'string' && /^(\d{1,8})([HMSmun])$/.exec(text)) || [];
  const milliseconds = Number(digits) * (unitMs[unit] ?? Number.NaN);
  if (!Number.isFinite(milliseconds)) throw new GuardError('request-invalid', 'grpc-timeout is no time');
  return Math.min(milliseconds, DEADLINE_MS_MAX);
}
