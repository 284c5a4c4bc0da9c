import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { link, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { StateLock } from './state-lock.ts';

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'edgekeep-state-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test('a state folder is locked once, the refusal names the holder, and the folder is free after its release', async () => {
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

test('of several processes that find the lock of a killed one at once, one gets it', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'lock.sock');
  {
    await using server = createServer();
    server.listen(join(folder.path, 'killed'));
    await once(server, 'listening');
    await link(join(folder.path, 'killed'), path);
  }
  const script = `import { StateLock } from ${JSON.stringify(import.meta.resolve('./state-lock.ts'))};
process.stdin.resume();
console.log('ready');
process.stdin.once('data', async () => {
  console.log(await StateLock.take(${JSON.stringify(folder.path)}).then(() => 'taken', ({ code }) => code));
});
`;
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  const ended = children.map((child) => once(child, 'exit'));
  try {
    await Promise.all(children.map(({ stdout }) => once(stdout, 'data')));
    const said = children.map(({ stdout }) => once(stdout, 'data'));
    for (const { stdin } of children) stdin.write('go\n');
    const answers = (await Promise.all(said)).map(([text]) => String(text).trim());
    assert.deepEqual(answers.toSorted(), ['state-in-use', 'state-in-use', 'state-in-use', 'taken']);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(ended);
  }
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
