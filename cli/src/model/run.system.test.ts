// `edgekeep model run` with a substitute for the agent's admin socket: what happens to the program that holds the plaintext.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findProgram } from '../program.ts';

const content = Buffer.from('plaintext');
const listed = {
  name: 'engine',
  version: '1.0.0',
  files: [
    {
      path: 'engine.plan',
      role: 'opaque',
      size: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
    },
  ],
};
let folder = '';
let server: Server | undefined;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-run-'));
  server = createServer((request, response) =>
    response.end(request.url?.includes('/files/') === true ? content : JSON.stringify(listed)),
  ).listen(join(folder, 'admin.sock'));
  await once(server, 'listening');
});
after(async () => {
  server?.closeAllConnections();
  server?.close();
  await rm(folder, { recursive: true });
});

const start = (...words: readonly string[]) =>
  spawn(
    process.execPath,
    [
      findProgram('@edgekeep/cli/main').file,
      'model',
      'run',
      'engine',
      '--socket',
      join(folder, 'admin.sock'),
      '--',
      ...words,
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );

const skip = existsSync('/usr/bin/setpriv') || existsSync('/bin/setpriv') ? false : 'setpriv is not installed';

test('a program that holds plaintext ends with the command line that was killed', { skip }, async () => {
  // It runs as long as this test keeps its standard input open.
  const child = start('sh', '-c', 'cat /proc/self/fd/3; exec cat');
  using _ = { [Symbol.dispose]: () => child.stdin.destroy() };
  const [read] = await once(child.stdout, 'data');
  assert.equal(String(read), 'plaintext');
  // The program has the standard output as well: it closes when the last process with it ends.
  const closed = once(child.stdout, 'close');
  child.kill('SIGKILL');
  await closed;
});

test('a program that is not installed is named, as before', async () => {
  const child = start('edgekeep-test-no-such-program');
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
  const [code] = await once(child, 'close');
  assert.equal(code, 3, errors);
  assert.match(errors, /ENOENT.*edgekeep-test-no-such-program/);
});

test('an admin socket that offers another protocol, or closes without an answer, ends the command', async () => {
  const path = join(folder, 'other.sock');
  for (const answer of ['HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n', '']) {
    const other = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => (answer === '' ? socket.destroy() : socket.write(answer)));
    }).listen(path);
    await once(other, 'listening');
    try {
      const run = spawn(process.execPath, [
        findProgram('@edgekeep/cli/main').file,
        'model',
        'run',
        'engine',
        '--socket',
        path,
        '--',
        'true',
      ]);
      const [said, [code]] = await Promise.all([text(run.stderr), once(run, 'exit')]);
      assert.notEqual(code, 0);
      assert.match(said, /admin socket .*(without an answer|hang up|ECONNRESET)/);
    } finally {
      other.close();
    }
  }
});
