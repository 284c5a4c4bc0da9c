// One gRPC call: its deadline, its answers, and its outcome in trailers.
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { GuardError } from './error.ts';
import { acceptedEncodings, frame } from './grpc-frames.ts';
import { type GrpcStatus, statusHeaders } from './grpc-status.ts';
import { IDLE_MS_MAX } from './limits.ts';

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
/** Longer than any call lives; Node's timers take no more. */
const DEADLINE_MS_MAX = 2 ** 31 - 1;
const headers = { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': acceptedEncodings };

export class GrpcCall implements Disposable {
  readonly stream: ServerHttp2Stream;
  /** Rejects at the deadline, and when the client ends the call. */
  readonly ended: Promise<never>;
  readonly #end: (error: GuardError) => void;
  readonly #timers: NodeJS.Timeout[] = [];
  #isOver = false;

  /** @throws GuardError `request-invalid` for a deadline that is none */
  constructor(stream: ServerHttp2Stream) {
    this.stream = stream;
    const { promise, reject } = Promise.withResolvers<never>();
    this.ended = promise;
    // A call may end without anybody waiting for that.
    promise.catch(() => undefined);
    this.#end = (error) => {
      this.#isOver = true;
      reject(error);
    };
    stream.setTimeout(IDLE_MS_MAX, () => stream.close(constants.NGHTTP2_CANCEL));
    stream.on('error', () => undefined);
    stream.on('close', () => this.#end(new GuardError('request-invalid', 'the call was ended')));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Ends the call after this time, unless the returned function is called before. */
  limit(milliseconds: number, why: string): () => void {
    const timer = setTimeout(() => this.#end(new GuardError('deadline-exceeded', why)), milliseconds);
    this.#timers.push(timer);
    return () => clearTimeout(timer);
  }

  /** Resolves when the client can take more. */
  async send(message: Uint8Array): Promise<void> {
    const { stream } = this;
    if (stream.destroyed) return;
    if (!stream.headersSent) stream.respond(headers, { waitForTrailers: true });
    if (stream.write(frame(message))) return;
    const drained = Promise.withResolvers<void>();
    stream.once('drain', drained.resolve);
    await Promise.race([drained.promise, this.ended]);
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
