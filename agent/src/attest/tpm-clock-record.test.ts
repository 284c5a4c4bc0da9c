import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { watchTpmClock } from './tpm-clock-record.ts';

async function watching(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-clock-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'tpm-clock.json');
  const watch = async (resetCount: number, restartCount: number, clock: bigint, isEnrolled = true) => {
    const kinds: string[] = [];
    await watchTpmClock(file, { resetCount, restartCount, clock }, isEnrolled, ({ kind }) => kinds.push(kind));
    return kinds.join();
  };
  return { file, watch };
}

test('a TPM that began anew is reported at each start, until the state folder is emptied', async (t) => {
  const { watch } = await watching(t);
  assert.equal(await watch(5, 0, 9_000n), '');
  assert.equal(await watch(0, 0, 100n), 'tpm-cleared');
  assert.equal(await watch(1, 0, 200n), 'tpm-cleared');
  assert.equal(await watch(5, 0, 8_999n), 'tpm-cleared');
});

test('a later boot whose clock went back, and a new device, are not cleared TPMs', async (t) => {
  const { file, watch } = await watching(t);
  assert.equal(await watch(5, 2, 9_000n, false), '');
  assert.equal(await watch(0, 0, 1n, false), '');
  assert.equal(await watch(5, 2, 9_000n), '');
  assert.equal(await watch(5, 3, 9_000n), '');
  assert.equal(await watch(6, 0, 10n), '');
  await writeFile(file, 'cut');
  assert.equal(await watch(0, 0, 1n), '');
});
