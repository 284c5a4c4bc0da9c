import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readSecretLine } from './secret-input.ts';

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-secret-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function lineOf(text: string): Promise<string> {
  const path = join(folder, 'secret');
  await writeFile(path, text);
  const descriptor = openSync(path, 'r');
  try {
    return await readSecretLine(descriptor);
  } finally {
    // Throws for a descriptor that was closed.
    fstatSync(descriptor);
    closeSync(descriptor);
  }
}

test('the first line comes without its end, and the descriptor stays open for its owner', async () => {
  for (let times = 0; times < 20; times += 1) {
    assert.equal(await lineOf('five words\nand more'), 'five words');
    assert.equal(await lineOf('no end'), 'no end');
    assert.equal(await lineOf(''), '');
    assert.equal(await lineOf(`${'x'.repeat(4_096)}\n`), 'x'.repeat(4_096));
  }
});

test('a line that is too long and a descriptor that is not open are refused', async () => {
  await assert.rejects(lineOf('x'.repeat(4_097)), { code: 'settings-invalid' });
  await assert.rejects(lineOf('x'.repeat(10_000)), { code: 'settings-invalid' });
  await assert.rejects(readSecretLine(9_999), { code: 'settings-invalid' });
});
