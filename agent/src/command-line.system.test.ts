import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const main = join(import.meta.dirname, 'main.ts');
const agent = (args: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
  promisify(execFile)(process.execPath, [main, ...args], { env: { ...process.env, ...environment } });

test('asking for help is answered, as the unit does before it starts the agent; wrong words are refused with it', async () => {
  assert.match((await agent(['--help'])).stdout, /^usage: .*--state DIR/);
  await assert.rejects(agent(['--wrong']), { code: 2, stderr: /^usage: / });
});

test('asking for help fills a compile cache to which a start that fails adds no file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-compile-cache-'));
  try {
    const count = async () => (await readdir(folder, { recursive: true })).length;
    await agent(['--help'], { NODE_COMPILE_CACHE: folder });
    const filled = await count();
    assert.ok(filled > 100, `only ${filled} files`);
    await assert.rejects(agent(['--state', folder], { NODE_COMPILE_CACHE: folder }), { code: 3 });
    assert.equal(await count(), filled);
  } finally {
    await rm(folder, { recursive: true });
  }
});
