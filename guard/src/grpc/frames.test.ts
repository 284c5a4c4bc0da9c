import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { readMessages } from './frames.ts';
import { BODIES_BYTES_MAX, BODY_BYTES_MAX } from '../limits.ts';
import { BodyBudget } from '../request-body.ts';

/** Remembers the largest piece of memory that was taken at once. */
class WatchedBudget extends BodyBudget {
  largest = 0;

  override share() {
    const { take, [Symbol.dispose]: release } = super.share();
    const watched = (bytes: number) => {
      this.largest = Math.max(this.largest, bytes);
      take(bytes);
    };
    return { take: watched, [Symbol.dispose]: release };
  }
}

async function lengthOf(packed: Buffer, encoding: string, budget: BodyBudget): Promise<number> {
  const head = Buffer.from([1, 0, 0, 0, 0]);
  head.writeUInt32BE(packed.length, 1);
  const sent = Readable.from([head, packed], { objectMode: false });
  let length = 0;
  for await (const message of readMessages(sent, encoding, budget, () => () => undefined)) {
    using held = message;
    length += held.bytes.length;
  }
  return length;
}

const packers = [
  ['gzip', gzipSync],
  ['deflate', deflateSync],
] as const;

// SECURITY.md: DEV-33
test('memory of a packed message is counted while it is unpacked, not afterwards', async () => {
  for (const [encoding, pack] of packers) {
    const budget = new WatchedBudget();
    assert.equal(await lengthOf(pack(Buffer.alloc(BODY_BYTES_MAX)), encoding, budget), BODY_BYTES_MAX);
    assert.ok(budget.largest <= 64 * 1024, `${encoding}: ${budget.largest} bytes at once`);
  }
});

// SECURITY.md: DEV-33
test('a packed message that is larger than all memory left is refused, and its part is released', async () => {
  for (const [encoding, pack] of packers) {
    const budget = new BodyBudget();
    const packed = pack(Buffer.alloc(1024 * 1024));
    {
      using others = budget.share();
      others.take(BODIES_BYTES_MAX - packed.length - 1024);
      await assert.rejects(lengthOf(packed, encoding, budget), { code: 'queue-full' });
    }
    using all = budget.share();
    all.take(BODIES_BYTES_MAX);
  }
});

test('a packed message that is cut short is refused', async () => {
  for (const [encoding, pack] of packers) {
    const cut = pack(Buffer.alloc(1000, 'ab')).subarray(0, -6);
    await assert.rejects(lengthOf(cut, encoding, new BodyBudget()), { code: 'request-invalid' });
  }
});
