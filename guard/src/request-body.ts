// Reads a request's body within limits: of one body, and of all bodies held in memory at once. Follows spec/inference.md section 5.
import type { IncomingMessage } from 'node:http';
import { GuardError } from './error.ts';
import { BODIES_BYTES_MAX, BODY_BYTES_MAX } from './limits.ts';

/** The memory that all bodies share; the part of a request is released when its answer is on its way. */
export class BodyBudget {
  #used = 0;

  /** Reads the whole body, calls `use` with it, and releases the memory afterwards. */
  async withBody<T>(request: IncomingMessage, use: (body: Uint8Array) => Promise<T>): Promise<T> {
    let held = 0;
    const take = (bytes: number) => {
      if (this.#used + bytes > BODIES_BYTES_MAX)
        throw new GuardError('queue-full', 'too many request bodies in memory');
      this.#used += bytes;
      held += bytes;
    };
    try {
      return await use(await readBody(request, take));
    } finally {
      this.#used -= held;
    }
  }
}

async function readBody(request: IncomingMessage, take: (bytes: number) => void): Promise<Uint8Array> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new GuardError('encoding-unsupported', 'Content-Encoding: compressed bodies are not read');
  }
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > BODY_BYTES_MAX) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    if (!(chunk instanceof Buffer)) throw new GuardError('request-invalid', 'the body is not bytes');
    length += chunk.length;
    // Without Content-Length (chunked) only this counting limits the body.
    if (length > BODY_BYTES_MAX) throw tooLarge();
    take(chunk.length);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function tooLarge(): GuardError {
  return new GuardError('request-too-large', `the body is larger than ${BODY_BYTES_MAX} bytes`);
}
