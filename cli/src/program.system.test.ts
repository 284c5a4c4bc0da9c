import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test, type TestContext } from 'node:test';

const main = fileURLToPath(new URL('main.ts', import.meta.url));

test('a verb whose program a signal ended reports no success', async (t) => {
  const killed = await endedBy(t, 'SIGKILL');
  assert.deepEqual([killed.status, killed.signal], [5, null]);
  assert.match(killed.stderr, /^edgekeep: the program was ended by SIGKILL/);
  const interrupted = await endedBy(t, 'SIGINT');
  assert.deepEqual([interrupted.status, interrupted.signal], [null, 'SIGINT']);
});

/** How `hub init` ends when its program, which waits for a passphrase, gets the signal. */
async function endedBy(t: TestContext, signal: NodeJS.Signals) {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-program-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const words = ['--data', join(folder, 'hub'), '--root-folder', join(folder, 'root'), '--unlock', 'passphrase'];
  const verb = spawn(process.execPath, ['--disable-sigusr1', main, 'hub', 'init', ...words, '--passphrase-fd', '0'], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const stderr = text(verb.stderr);
  const exit = once(verb, 'exit');
  process.kill(await childOf(verb.pid ?? 0), signal);
  const [status, by] = await exit;
  return { status, signal: by, stderr: await stderr };
}

/** The hub, once it is there: before it the verb runs other programs. */
async function childOf(pid: number): Promise<number> {
  for (;;) {
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ');
    for (const child of children.filter((each) => each !== '')) {
      const commandLine = await readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '');
      if (commandLine.includes('hub/src/main')) return Number(child);
    }
    await setImmediate();
  }
}
