import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryingOnce } from './retrying-once.ts';

test('it is made once, also for those who ask at the same time', async () => {
  let times = 0;
  const get = retryingOnce(async () => ++times);
  assert.deepEqual(await Promise.all([get(), get()]), [1, 1]);
  assert.equal(await get(), 1);
});

test('a failure reaches everybody who waited, and the next one who asks succeeds', async () => {
  let times = 0;
  const get = retryingOnce(async () => {
    times += 1;
    if (times === 1) throw new Error('the disk');
    return times;
  });
  const [first, second] = await Promise.allSettled([get(), get()]);
  assert.deepEqual([first.status, second.status], ['rejected', 'rejected']);
  assert.equal(await get(), 2);
});

test('a throw before the first await is not kept either', async () => {
  let broken = true;
  const get = retryingOnce((): Promise<string> => {
    if (broken) throw new TypeError('at once');
    return Promise.resolve('made');
  });
  await assert.rejects(get(), TypeError);
  broken = false;
  assert.equal(await get(), 'made');
});

test('what was forgotten is made anew, and a failure that comes late does not end what is newer', async () => {
  const makings: PromiseWithResolvers<string>[] = [];
  const get = retryingOnce(() => {
    const making = Promise.withResolvers<string>();
    makings.push(making);
    return making.promise;
  });
  const old = get();
  get.forget();
  const fresh = get();
  makings[0]?.reject(new Error('late'));
  await assert.rejects(old);
  makings[1]?.resolve('new');
  assert.equal(await fresh, 'new');
  assert.equal(await get(), 'new');
});
