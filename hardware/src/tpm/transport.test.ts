import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { getRandom } from '@edgekeep/core/tpm/commands/lifecycle';
import { HardwareError } from '../error.ts';
import { TpmClient } from './client.ts';
import { openTransport, parseTpmAddress } from './transport.ts';
import { unreachable } from './unreachable.ts';

/** A TPM that answers each command with the next of `answers` and then closes. */
async function scripted(context: TestContext, answers: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-transport-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const left = [...answers];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => {
      const answer = left.shift();
      if (answer === undefined) socket.destroy();
      else socket.write(Buffer.from(answer, 'hex'));
    });
  });
  const path = join(folder, 'tpm.sock');
  server.listen(path);
  await once(server, 'listening');
  context.after(() => server.close());
  const client = new TpmClient(await openTransport({ kind: 'unix', path }));
  context.after(() => client[Symbol.asyncDispose]());
  return client;
}

const random = '80010000000e000000000002abcd';

test('a busy TPM is asked again', async (context) => {
  const client = await scripted(context, ['80010000000a00000922', '80010000000a00000908', random]);
  assert.equal(Buffer.from(await client.execute(getRandom(32))).toString('hex'), 'abcd');
});

test('a command the TPM refuses is an error with its response code, and the next one still works', async (context) => {
  const client = await scripted(context, ['80010000000a00000120', random]);
  const [first, second] = [client.execute(getRandom(32)), client.execute(getRandom(32))];
  await assert.rejects(first, (error) => error instanceof HardwareError && error.responseCode === 0x120);
  assert.equal((await second).length, 2);
});

test('a TPM is in failure mode when it refuses every command so, and not when it refused one', async (context) => {
  const failure = '80010000000a00000101';
  const once = await scripted(context, [failure, random]);
  await assert.rejects(once.execute(getRandom(32)), { code: 'tpm-failed', responseCode: 0x101 });
  const always = await scripted(context, [failure, failure]);
  await assert.rejects(always.execute(getRandom(32)), { code: 'tpm-failure-mode', responseCode: 0x101 });
});

test('what the system refuses has its own cause: busy, no right, a full queue; all else is no TPM', () => {
  const codeOf = (code: string) => unreachable('device:/dev/tpm0', Object.assign(new Error(code), { code })).code;
  assert.deepEqual(['EBUSY', 'EACCES', 'EPERM', 'EAGAIN', 'ENOENT', 'ECONNREFUSED', 'EIO'].map(codeOf), [
    'tpm-busy',
    'tpm-permission',
    'tpm-permission',
    'tpm-timeout',
    ...Array(3).fill('tpm-unreachable'),
  ]);
});

test('a connection that broke is opened anew at the next command', async (context) => {
  const client = await scripted(context, [random]);
  await client.execute(getRandom(32));
  await assert.rejects(client.execute(getRandom(32)), { code: 'tpm-unreachable', message: /connection was closed/ });
  await assert.rejects(client.execute(getRandom(32)), { code: 'tpm-unreachable', message: /connection was closed/ });
});

test('an answer with an impossible length, bytes behind it, or none at all is an error', async (context) => {
  for (const answers of [['80010000000300000000'], ['8001ffffffff00000000'], [`${random}00`], []]) {
    const client = await scripted(context, answers);
    await assert.rejects(client.execute(getRandom(32)));
  }
});

test('a TPM that another program holds is given up soon, and the error says so', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-transport-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'tpm.sock');
  const asked = Promise.withResolvers<void>();
  const server = createServer((socket) => socket.on('data', () => asked.resolve()).on('error', () => undefined));
  server.listen(path);
  await once(server, 'listening');
  context.after(() => server.close());
  const transport = await openTransport({ kind: 'unix', path });
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const answer = transport.transmit(Buffer.from('80010000000c0000017b0020', 'hex'));
  await asked.promise;
  context.mock.timers.tick(15_000);
  await assert.rejects(answer, { code: 'tpm-timeout', message: /no answer in 15 s: does another program use it\?/ });
});

test('addresses are read, and what is none is not guessed', () => {
  assert.deepEqual(parseTpmAddress('/dev/tpmrm0'), { kind: 'device', path: '/dev/tpmrm0' });
  assert.deepEqual(parseTpmAddress('device:/dev/tpm0'), { kind: 'device', path: '/dev/tpm0' });
  assert.deepEqual(parseTpmAddress('unix:/run/tpm.sock'), { kind: 'unix', path: '/run/tpm.sock' });
  assert.deepEqual(parseTpmAddress('tcp:localhost:2321'), { kind: 'tcp', host: 'localhost', port: 2321 });
  // The second is the form of the version before.
  for (const text of ['tcp:[::1]:2321', 'tcp:::1:2321', 'tcp:[0:0::1]:2321'])
    assert.deepEqual(parseTpmAddress(text), { kind: 'tcp', host: '::1', port: 2321 }, text);
  for (const text of [
    '',
    'tpm',
    'unix:relative',
    'tcp:host',
    'tcp:host:0',
    'tcp:host:70000',
    'tcp::2321',
    'tcp:10.1:2321',
  ]) {
    assert.equal(parseTpmAddress(text), undefined, text);
  }
});
