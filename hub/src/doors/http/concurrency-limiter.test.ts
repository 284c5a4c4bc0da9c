import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConcurrencyLimiter } from './concurrency-limiter.ts';

test('a key has a limit of turns at once, and waiting work continues in its order', async () => {
  const turns = new ConcurrencyLimiter(2);
  const done: number[] = [];
  const work = async (name: number) => {
    const end = await turns.take('a');
    done.push(name);
    return end;
  };
  const [first, second, third, fourth] = [work(1), work(2), work(3), work(4)];
  await first;
  assert.deepEqual(done, [1]);
  await second;
  assert.deepEqual(done, [1, 2]);
  (await second)();
  await third;
  assert.deepEqual(done, [1, 2, 3]);
  (await first)();
  await fourth;
  assert.deepEqual(done, [1, 2, 3, 4]);
});

// SECURITY.md: HUB-41
test('in one turn of the event loop one request of a key begins, and between two of them others have theirs', async () => {
  const turns = new ConcurrencyLimiter(8);
  let turn = 0;
  const count = () => {
    turn += 1;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  try {
    const begunIn = async (key: string) => turns.take(key).then(() => turn);
    const [first, second, third, other] = await Promise.all(['many', 'many', 'many', 'one'].map(begunIn));
    assert.deepEqual([first, second, third, other], [0, 1, 2, 0]);
  } finally {
    clearImmediate(counting);
  }
});

// SECURITY.md: HUB-41
test('a key that has used up its turns takes none of another', async () => {
  const turns = new ConcurrencyLimiter(1);
  await turns.take('a');
  void turns.take('a');
  const end = await turns.take('b');
  end();
});

test('a line that grows too long is refused', async () => {
  const turns = new ConcurrencyLimiter(1);
  await turns.take('a');
  for (let waiting = 0; waiting < 512; waiting += 1) void turns.take('a');
  await assert.rejects(turns.take('a'), { code: 'rate-limited' });
});
