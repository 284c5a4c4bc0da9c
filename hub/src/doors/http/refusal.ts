// How a refusal reaches a client that is still sending. The rest of the body is read and discarded as long as its sender has budget; beyond
// that nothing more is read, and the connection ends when the response had time to arrive. A sender that is refused repeatedly waits longer
// for each response.
import { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { LruMap } from 'toad-cache';
import { declaredLength } from './body.ts';

const DISCARDED_BYTES_MAX = 8 * 1024 * 1024;
const lingerMilliseconds = 2_000;
const patience = 10;
const delayMilliseconds = 1_000;
const REMEMBERED_MAX = 100_000;

/** Call it before the response to a refused request is sent. */
export function letRefusalArrive(request: FastifyRequest, reply: FastifyReply): void {
  const { raw, payer } = request;
  if (raw.complete) return;
  // Node and fastify would end the connection while the client still sends, and the response would be lost.
  reply.removeHeader('connection');
  const left = isChunked(request) ? DISCARDED_BYTES_MAX : declaredLength(request);
  if (left <= DISCARDED_BYTES_MAX && payer.class.spendBytes(payer.key, left)) {
    if (isChunked(request)) endAfter(request, DISCARDED_BYTES_MAX);
    raw.resume();
    return;
  }
  const { socket } = raw;
  // Requests of the hub to itself use no socket.
  if (!(socket instanceof Socket)) return;
  raw.pause();
  reply.raw.once('finish', () => {
    setImmediate(() => socket.pause());
    setTimeout(() => socket.destroy(), lingerMilliseconds).unref();
  });
}

function isChunked({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined;
}

// A body that never ends.
function endAfter({ raw }: FastifyRequest, maxBytes: number): void {
  let bytes = 0;
  raw.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes > maxBytes) raw.socket.destroy();
  });
}

/** The senders that were refused lately, and how often. */
export class Refusals {
  readonly #counts = new LruMap<{ count: number; sinceMs: number }>(REMEMBERED_MAX);

  /** How long the response to this refusal waits, in milliseconds. `nowMs` is monotonic. */
  delayOf(key: string, nowMs: number): number {
    const known = this.#counts.get(key);
    const entry =
      known === undefined || nowMs - known.sinceMs > delayMilliseconds ? { count: 0, sinceMs: nowMs } : known;
    entry.count += 1;
    this.#counts.set(key, entry);
    return entry.count > patience ? delayMilliseconds : 0;
  }
}
