import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joined } from './joined.ts';

test('all who ask while a run is under way share the next one, which begins after they asked', async () => {
  const ends: (() => void)[] = [];
  let began = 0;
  const ask = joined(async () => {
    began += 1;
    const number = began;
    await new Promise<void>((resolve) => ends.push(resolve));
    return number;
  });
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const first = ask();
  await turn();
  const others = [ask(), ask(), ask()];
  await turn();
  assert.equal(began, 1);
  ends[0]?.();
  assert.equal(await first, 1);
  await turn();
  ends[1]?.();
  assert.deepEqual(await Promise.all(others), [2, 2, 2]);
});

test('all who shared a run that fails get its error, and the next begins anew', async () => {
  let began = 0;
  const ask = joined(async () => {
    began += 1;
    if (began === 1) throw new TypeError('the first fails');
    return began;
  });
  await assert.rejects(ask(), /the first fails/);
  assert.equal(await ask(), 2);
});
