import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockFolder } from './folder-lock.ts';

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'edgekeep-lock-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A separate process that locks the folder, reports it, and keeps running. */
async function holderOf(folder: string) {
  const script = `import { lockFolder } from ${JSON.stringify(import.meta.resolve('./folder-lock.ts'))};
const lock = lockFolder(${JSON.stringify(folder)});
console.log('locked');
process.stdin.resume();
process.stdin.on('end', () => lock[Symbol.dispose]());
`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    child.kill(signal);
    await ended;
  };
  await Promise.race([once(child.stdout, 'data'), ended]);
  return { pid: child.pid ?? 0, end, [Symbol.asyncDispose]: () => end('SIGKILL') };
}

// SECURITY.md: HUB-30
test('a folder is taken once: the second is refused with the number of the process that has it', async () => {
  await using folder = await temporaryFolder();
  await using holder = await holderOf(folder.path);
  assert.throws(() => lockFolder(folder.path), {
    code: 'folder-in-use',
    message: new RegExp(`is in use by process ${holder.pid}:`),
  });
  assert.equal(Number(await readFile(join(folder.path, 'hub.pid'), 'utf8')), holder.pid);
});

test('the lock of a process that was killed is gone with it, also when its file is left', async () => {
  await using folder = await temporaryFolder();
  {
    await using holder = await holderOf(folder.path);
    await holder.end('SIGKILL');
  }
  using lock = lockFolder(folder.path);
  assert.equal(lock.folder, folder.path);
  assert.equal(Number(await readFile(join(folder.path, 'hub.pid'), 'utf8')), process.pid);
});

test('it holds in one process as well, and until it is given back', async () => {
  await using folder = await temporaryFolder();
  {
    using lock = lockFolder(folder.path);
    assert.throws(() => lockFolder(lock.folder), {
      code: 'folder-in-use',
      message: new RegExp(`process ${process.pid}:`),
    });
  }
  assert.deepEqual(await readdir(folder.path), ['hub.lock']);
  using again = lockFolder(folder.path);
  assert.equal(again.folder, folder.path);
});

test('a damaged number only leaves the number out', async () => {
  await using folder = await temporaryFolder();
  using lock = lockFolder(folder.path);
  await writeFile(join(folder.path, 'hub.pid'), 'nobody; rm -rf /');
  assert.throws(() => lockFolder(lock.folder), { code: 'folder-in-use', message: /in use by another process:/ });
});

test('a folder that is missing, or that is none, is named', async () => {
  await using folder = await temporaryFolder();
  assert.throws(() => lockFolder(join(folder.path, 'gone')), { code: 'folder-unusable', message: /no such folder/ });
  const file = join(folder.path, 'file');
  await writeFile(file, '');
  assert.throws(() => lockFolder(file), { code: 'folder-unusable', message: /is not a folder/ });
});
