// How long a body may take. A body that is read whole must arrive within half a minute. A streamed body may take hours, as long as a
// minimum of bytes arrives in each window while the hub waits for them. A slower sender is cut, and so is one that keeps sending for half a
// minute after it has its response.
import { Socket } from 'node:net';
import type { IncomingHttpHeaders } from 'node:http';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The handler reads the body as a stream; left out: the body is read whole before the handler runs. */
    streamed?: boolean;
  }
}

/** The options of a route whose handler reads its body as a stream. */
export function streamed<T extends { readonly config: object }>(
  options: T,
): T & { readonly config: { readonly streamed: true } } {
  return { ...options, config: { ...options.config, streamed: true } };
}

export interface StreamLimits {
  /** Length of a window. */
  readonly idleSeconds: number;
  readonly minBytesPerSecond: number;
}

const wholeBodyMilliseconds = 30_000;
const lookEveryMilliseconds = 1_000;

/** The part of a request that the watch reads. */
export interface WatchedRequest {
  readonly raw: {
    readonly complete: boolean;
    readonly readableLength: number;
    readonly socket: unknown;
    once(event: 'close', listener: () => void): unknown;
  };
  readonly headers: IncomingHttpHeaders;
  readonly routeOptions: { readonly config: { readonly streamed?: boolean } };
}

/** The response to it, likewise. */
export interface WatchedAnswer {
  once(event: 'finish', listener: () => void): unknown;
}

interface Watched {
  readonly request: WatchedRequest;
  readonly socket: Socket;
  readonly beganMs: number;
  windowMs: number;
  /** The socket's count when the window began. */
  bytesRead: number;
  /** When its response was sent completely. */
  answeredMs: number | undefined;
}

/** Watches all open bodies of one listener. `nowMs` is monotonic. */
export class BodyWatch {
  readonly #limits: StreamLimits;
  readonly #nowMs: () => number;
  readonly #open = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: StreamLimits, nowMs: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** From the request's head to the last byte of its body. */
  watch(request: WatchedRequest, answer: WatchedAnswer): void {
    const { raw } = request;
    const { socket } = raw;
    // Requests of the hub to itself (doors/operator/two-people.ts) use no socket.
    if (raw.complete || !hasBody(request) || !(socket instanceof Socket)) return;
    const nowMs = this.#nowMs();
    const { bytesRead } = socket;
    const watched: Watched = { request, socket, beganMs: nowMs, windowMs: nowMs, bytesRead, answeredMs: undefined };
    this.#open.add(watched);
    answer.once('finish', () => (watched.answeredMs = this.#nowMs()));
    // A handler that stops reading closes the body; its sender may still be connected.
    raw.once('close', () => this.#isOver(watched) && this.#open.delete(watched));
    this.#timer ??= setInterval(() => this.look(), lookEveryMilliseconds).unref();
  }

  /** Cuts senders that are too slow. */
  look(): void {
    for (const watched of this.#open) {
      if (this.#isOver(watched)) this.#open.delete(watched);
      else if (this.#isLate(watched)) watched.socket.destroy();
    }
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #isOver({ request, socket }: Watched): boolean {
    return request.raw.complete || socket.destroyed;
  }

  #isLate(watched: Watched): boolean {
    const { raw, routeOptions } = watched.request;
    const nowMs = this.#nowMs();
    if (watched.answeredMs !== undefined && nowMs - watched.answeredMs > wholeBodyMilliseconds) return true;
    if (routeOptions.config.streamed !== true) return nowMs - watched.beganMs > wholeBodyMilliseconds;
    const { idleSeconds, minBytesPerSecond } = this.#limits;
    const came = watched.socket.bytesRead - watched.bytesRead;
    // Bytes that wait for the handler, or for a disk, are not the sender's fault.
    if (raw.readableLength > 0 || came >= idleSeconds * minBytesPerSecond) {
      watched.windowMs = nowMs;
      watched.bytesRead = watched.socket.bytesRead;
      return false;
    }
    return nowMs - watched.windowMs > idleSeconds * 1_000;
  }
}

function hasBody({ headers }: WatchedRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
