// Reads a request's body within limits: of one body, and of all bodies held in memory at once; gzip and deflate are unpacked within the
// same limits. Follows spec/inference.md section 5.
import type { IncomingMessage } from 'node:http';
import { createGunzip, createInflate, type Gunzip, type Inflate } from 'node:zlib';
import { GuardError } from './error.ts';
import { BODIES_BYTES_MAX, BODY_BYTES_MAX, DISCARDED_BYTES_MAX } from './limits.ts';

/** The memory that all bodies share; the part of a request is released when its answer is on its way. */
export class BodyBudget {
  #used = 0;

  /** Reads the whole body, calls `use` with it, and releases the memory afterwards. */
  async withBody<T>(request: IncomingMessage, use: (body: Uint8Array) => Promise<T>): Promise<T> {
    using share = this.share();
    return await use(await readBody(request, share.take));
  }

  /** A part of the memory, taken piece by piece, and released as a whole. */
  share(): { readonly take: (bytes: number) => void; [Symbol.dispose](): void } {
    let held = 0;
    return {
      take: (bytes) => {
        if (this.#used + bytes > BODIES_BYTES_MAX)
          throw new GuardError('queue-full', 'too many request bodies in memory');
        this.#used += bytes;
        held += bytes;
      },
      [Symbol.dispose]: () => {
        this.#used -= held;
        held = 0;
      },
    };
  }
}

/**
 * Reads what is left of a refused request's body, and keeps nothing: a client that sends all before it reads would otherwise get a broken
 * connection instead of the refusal. False when the body is too long for that.
 */
export async function discardBody(request: IncomingMessage): Promise<boolean> {
  if (request.complete && request.readableEnded) return true;
  if (Number(request.headers['content-length'] ?? 0) > DISCARDED_BYTES_MAX) return false;
  let length = 0;
  for await (const chunk of chunksOf(request)) {
    length += chunk.length;
    if (length > DISCARDED_BYTES_MAX) return false;
  }
  return true;
}

async function readBody(request: IncomingMessage, take: (bytes: number) => void): Promise<Uint8Array> {
  // Declared before it is read: the length of the body as it is sent.
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) throw tooLarge();
  // Only counting limits a body without Content-Length (chunked), and what a compressed one becomes.
  return await joined(unpacked(request), take, tooLarge);
}

/** Joins the pieces; each is counted as it comes, so that what is unpacked never takes memory that nobody counted. */
export async function joined(
  pieces: AsyncIterable<Buffer>,
  take: (bytes: number) => void,
  tooLarge: () => GuardError,
): Promise<Uint8Array> {
  const kept: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    length += piece.length;
    if (length > BODY_BYTES_MAX) throw tooLarge();
    take(piece.length);
    kept.push(piece);
  }
  return Buffer.concat(kept, length);
}

function unpacked(request: IncomingMessage): AsyncIterable<Buffer> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  switch (encoding) {
    case 'identity':
    case '':
      return chunksOf(request);
    case 'gzip':
    case 'x-gzip':
      return inflated(request, createGunzip());
    case 'deflate':
      return inflated(request, createInflate());
    default:
      throw new GuardError('encoding-unsupported', 'Content-Encoding: gzip and deflate are read, alone');
  }
}

async function* inflated(request: IncomingMessage, inflate: Gunzip | Inflate): AsyncGenerator<Buffer> {
  const gone = () => void inflate.destroy();
  request.once('error', gone);
  request.once('aborted', gone);
  request.pipe(inflate);
  try {
    for await (const chunk of inflate) {
      if (chunk instanceof Buffer) yield chunk;
    }
  } catch (cause) {
    throw new GuardError('request-invalid', 'the body is not what its Content-Encoding says', { cause });
  } finally {
    request.off('error', gone);
    request.off('aborted', gone);
    request.unpipe(inflate);
    inflate.destroy();
  }
}

/** The request stays usable when the reader stops early: its answer goes over the same connection. */
async function* chunksOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    if (!(chunk instanceof Buffer)) throw new GuardError('request-invalid', 'the body is not bytes');
    yield chunk;
  }
}

function tooLarge(): GuardError {
  return new GuardError('request-too-large', `the body is larger than ${BODY_BYTES_MAX} bytes`);
}
