import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inTenths } from './download-progress.ts';

test('a long download is reported at its beginning and at each further tenth, a short one not at all', () => {
  const told: number[] = [];
  const progress = inTenths((done) => told.push(done));
  for (let done = 0; done <= 5_000_000; done += 65_536) progress(done, 5_000_000);
  assert.equal(told.length, 10);
  assert.equal(told[0], 0);
  assert.ok(told.every((done, at) => at === 0 || done - (told[at - 1] ?? 0) >= 400_000));
  const short: number[] = [];
  inTenths((done) => short.push(done))(0, 999_999);
  assert.deepEqual(short, []);
});
