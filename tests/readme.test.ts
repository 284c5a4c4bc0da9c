// README's transcript is what the program prints: every line of it, except numbers, appears when the demo runs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { simulatorTools, skipWithout } from '@edgekeep/hardware/tpm/testing';
import { ending } from './support/child.ts';

const root = join(import.meta.dirname, '..');

// Numbers (and with them the ending of a noun), times, ports, digests and the paths of a machine differ between runs; the words must not.
function wordsOf(line: string): string {
  return line
    .replaceAll(/\S*\.demo\S*|\S*edgekeep-readme\S*/g, 'PATH')
    .replaceAll(/[0-9a-f]{16,}/g, '#')
    .replaceAll(/\d+(?:\.\d+)?/g, '#')
    .replaceAll(/# (device|image)s\b/g, '# $1')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

async function demo(folder: string): Promise<{ readonly output: string; readonly code: number | null }> {
  const child = spawn(process.execPath, ['sim/src/main.ts', '--exit-when-done', '--data', folder], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await using _ = ending(child);
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', resolve);
  });
  return { output: await text(child.stdout), code: await ended };
}

test(
  'the demo ends as README says, and again on the data of its first start',
  { skip: await skipWithout(...simulatorTools) },
  async () => {
    const readme = await readFile(join(root, 'README.md'), 'utf8');
    const transcript = /```console\n\$ npm start\n([\s\S]*?)```/.exec(readme)?.[1];
    assert.ok(transcript !== undefined, 'README.md has no transcript of npm start');
    const folder = await mkdtemp(join(tmpdir(), 'edgekeep-readme-'));
    try {
      const first = await demo(folder);
      assert.equal(first.code, 0, first.output);
      const printed = new Set(first.output.split('\n').map(wordsOf));
      const missing = transcript
        .split('\n')
        .map(wordsOf)
        .filter((line) => line !== '' && !line.startsWith('ready:') && !printed.has(line));
      assert.deepEqual(missing, []);
      const second = await demo(folder);
      assert.equal(second.code, 0, second.output);
      assert.match(second.output, /using the hub of the last start/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);
