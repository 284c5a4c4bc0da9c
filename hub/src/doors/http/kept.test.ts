import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kept, type Revision } from './kept.ts';

const noRest = async () => undefined;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A source whose runs end when the test says so. */
function source(revision: () => Revision) {
  const ends: (() => void)[] = [];
  const state = { began: 0, end: (at: number) => ends[at]?.() };
  const make = async () => {
    state.began += 1;
    const number = state.began;
    await new Promise<void>((resolve) => ends.push(resolve));
    return number;
  };
  return { state, get: kept({ revision, make }, noRest) };
}

test('all who ask while a run is under way share the next one, which begins after they asked', async () => {
  const { state, get } = source(() => undefined);
  const first = get();
  await turn();
  const others = [get(), get(), get()];
  await turn();
  assert.equal(state.began, 1);
  state.end(0);
  assert.equal(await first, 1);
  await turn();
  state.end(1);
  assert.deepEqual(await Promise.all(others), [2, 2, 2]);
});

// SECURITY.md: HUB-44
test('a value is made once for everybody, and again when what it was made of changed, also while it was made', async () => {
  let version = 1;
  const { state, get } = source(() => [version]);
  const first = get();
  await turn();
  const others = [get(), get()];
  await turn();
  state.end(0);
  assert.deepEqual(await Promise.all([first, ...others, get()]), [1, 1, 1, 1]);
  version = 2;
  const second = get();
  await turn();
  version = 3;
  state.end(1);
  assert.equal(await second, 2);
  const third = get();
  await turn();
  state.end(2);
  assert.equal(await third, 3);
  assert.equal(await get(), 3);
  assert.equal(state.began, 3);
});

test('where nobody can say what a value was made of, it is made each time', async () => {
  let made = 0;
  const get = kept({ revision: () => ['policy', undefined], make: async () => (made += 1) }, noRest);
  assert.deepEqual([await get(), await get()], [1, 2]);
});

// SECURITY.md: HUB-44
test('between two runs the hub rests in proportion to the work, however often the value changes', async () => {
  let made = 0;
  let wake = () => {};
  const rests: number[] = [];
  const rest = (milliseconds: number) => {
    rests.push(milliseconds);
    return new Promise<void>((resolve) => (wake = resolve));
  };
  const get = kept({ revision: () => undefined, make: async () => (made += 1) }, rest);
  assert.equal(await get(), 1);
  const second = get();
  await turn();
  assert.equal(made, 1);
  wake();
  assert.equal(await second, 2);
  assert.equal(rests.length, 2);
  assert.ok(rests.every((milliseconds) => milliseconds > 0));
});

test('all who shared a run that fails get its error, and the next begins anew', async () => {
  let began = 0;
  const make = async () => {
    began += 1;
    if (began === 1) throw new TypeError('the first fails');
    return began;
  };
  const get = kept({ revision: () => ['same'], make }, noRest);
  await assert.rejects(get(), /the first fails/);
  assert.equal(await get(), 2);
});
