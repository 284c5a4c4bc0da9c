// Messages of a gRPC call: five bytes (compressed or not, length) and the message (grpc/doc/PROTOCOL-HTTP2.md). Limits hold for each
// message before it is read, and again while it is unpacked.
import type { Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { GuardError } from '../error.ts';
import { BODY_BYTES_MAX } from '../limits.ts';
import { type BodyBudget, joined } from '../request-body.ts';

const headBytes = 5;
const unpackers = { gzip: createGunzip, deflate: createInflate } as const;

export const acceptedEncodings = 'identity, deflate, gzip';

/** The user gives its part of the budget back when the bytes are no longer needed. */
export interface Message extends Disposable {
  readonly bytes: Uint8Array;
}

/**
 * Yields each message with its part of the budget. `limit` bounds the time from a message's head to its
 * end, because its part is held from the head on; it returns the function that ends the bound.
 */
export async function* readMessages(
  stream: Readable,
  encoding: string,
  budget: BodyBudget,
  limit: () => () => void,
): AsyncGenerator<Message> {
  const waiting = new Waiting();
  const chunks = stream.iterator({ destroyOnReturn: false });
  const fill = async (bytes: number): Promise<boolean> => {
    while (waiting.length < bytes) {
      const next = await chunks.next();
      if (next.done === true) return false;
      if (next.value instanceof Buffer) waiting.push(next.value);
    }
    return true;
  };
  while (await fill(headBytes)) {
    const head = waiting.take(headBytes);
    const length = head.readUInt32BE(1);
    if (length > BODY_BYTES_MAX) throw tooLarge();
    using parts = new DisposableStack();
    const share = parts.use(budget.share());
    share.take(length);
    const arrived = limit();
    if (!(await fill(length))) throw new GuardError('request-invalid', 'the call ends inside a message');
    arrived();
    const whole = waiting.take(length);
    const bytes = head[0] === 0 ? whole : await unpacked(whole, encoding, share.take);
    const held = parts.move();
    yield { bytes, [Symbol.dispose]: () => held.dispose() };
  }
  if (waiting.length > 0) throw new GuardError('request-invalid', 'the call ends inside a message');
}

export function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

async function unpacked(bytes: Buffer, encoding: string, take: (bytes: number) => void): Promise<Uint8Array> {
  if (!isPacked(encoding)) {
    const why = `a compressed message in ${JSON.stringify(encoding)}; gzip and deflate are read`;
    throw new GuardError(encoding === 'identity' ? 'request-invalid' : 'encoding-unsupported', why);
  }
  return await joined(inflated(bytes, encoding), take, tooLarge);
}

async function* inflated(bytes: Buffer, encoding: keyof typeof unpackers): AsyncGenerator<Buffer> {
  const inflate = unpackers[encoding]();
  inflate.end(bytes);
  try {
    for await (const piece of inflate) {
      if (piece instanceof Buffer) yield piece;
    }
  } catch (cause) {
    throw new GuardError('request-invalid', `a message is not what its encoding ${encoding} says`, { cause });
  } finally {
    inflate.destroy();
  }
}

function isPacked(encoding: string): encoding is keyof typeof unpackers {
  return Object.hasOwn(unpackers, encoding);
}

/** Bytes that arrived and are not part of a message yet; they are joined once for each message. */
class Waiting {
  #chunks: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** There must be as many. */
  take(length: number): Buffer {
    const [first = Buffer.alloc(0)] = this.#chunks;
    const joined = first.length >= length ? first : Buffer.concat(this.#chunks);
    const rest = joined.subarray(length);
    const others = joined === first ? this.#chunks.slice(1) : [];
    this.#chunks = rest.length === 0 ? others : [rest, ...others];
    this.#length -= length;
    return joined.subarray(0, length);
  }
}

function tooLarge(): GuardError {
  return new GuardError('request-too-large', `a message is larger than ${BODY_BYTES_MAX} bytes`);
}
