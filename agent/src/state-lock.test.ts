import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { StateLock } from './state-lock.ts';

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'edgekeep-state-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test('a state folder is taken once, the second is told by whom, and it is free when it was given back', async () => {
  await using folder = await temporaryFolder();
  {
    await using _ = await StateLock.take(folder.path);
    const message = new RegExp(`runs on this state folder already \\(process ${process.pid}, `);
    await assert.rejects(StateLock.take(folder.path), { code: 'state-in-use', message });
  }
  await using again = await StateLock.take(folder.path);
  assert.ok(again instanceof StateLock);
});

test('the lock of a process that was killed is gone with it, though its socket is still there', async () => {
  await using folder = await temporaryFolder();
  const script = `import { StateLock } from ${JSON.stringify(import.meta.resolve('./state-lock.ts'))};
await StateLock.take(${JSON.stringify(folder.path)});
console.log('locked');
process.stdin.resume();
`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  try {
    await Promise.race([once(child.stdout, 'data'), ended]);
    const message = new RegExp(`process ${child.pid}, `);
    await assert.rejects(StateLock.take(folder.path), { code: 'state-in-use', message });
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
  await using again = await StateLock.take(folder.path);
  assert.ok(again instanceof StateLock);
});

test('who answers with anything but a number is another process', async () => {
  await using folder = await temporaryFolder();
  await using server = createServer((socket) => socket.end('process 1, trust me'));
  server.listen(join(folder.path, 'lock.sock'));
  await once(server, 'listening');
  await assert.rejects(StateLock.take(folder.path), { code: 'state-in-use', message: /\(another process, / });
});

test('a folder whose path is too long for a socket is named', async () => {
  await assert.rejects(StateLock.take(join(tmpdir(), 'a'.repeat(120))), { code: 'local-listener' });
});
