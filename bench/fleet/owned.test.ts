import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

// A measurement in small: it owns a folder and a child, which keeps a pipe of ours open as long as it lives.
const measurement = `
  import { spawn } from 'node:child_process';
  import { mkdtempSync } from 'node:fs';
  import { tmpdir } from 'node:os';
  import { join } from 'node:path';
  import { endAllOnSignal, ownFolder, ownProcess } from ${JSON.stringify(new URL('./owned.ts', import.meta.url).href)};
  endAllOnSignal();
  const folder = ownFolder(mkdtempSync(join(tmpdir(), 'edgekeep-owned-')));
  ownProcess(spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1_000)'], { stdio: ['ignore', 'inherit', 'ignore'] })).once('spawn', () => console.log(folder));
`;

test('a measurement that a signal ends leaves no process and no folder', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', measurement], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const [folder]: unknown[] = await once(lines, 'line');
  assert.ok(existsSync(String(folder)));
  child.kill('SIGTERM');
  // The pipe ends when the last process that has it does.
  const [[code]] = await Promise.all([once(child, 'exit'), once(lines, 'close')]);
  assert.equal(code, 143);
  assert.ok(!existsSync(String(folder)));
});
