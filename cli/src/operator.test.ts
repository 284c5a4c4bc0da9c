import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { z } from 'zod';
import { UsageError } from './command.ts';
import { readSigner } from './model/key-files.ts';
import { operatorAddress } from './operator-file.ts';
import { operatorFileOf, operatorFromFile } from './operator.ts';
import { HubRefusal, Unreachable } from './refusal.ts';

const authority = await makeTestAuthority('test hub');

test('a hub that goes away before or in the middle of its answer is unreachable by name, and nothing is believed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-operator-'));
  try {
    const { certificateChainPem: cert, privateKeyPem: key } = authority.server;
    await using server = createServer({ cert, key }, (request, response) => {
      if (request.url === '/before') return void response.destroy();
      if (request.url === '/other-protocol')
        return void response.writeHead(101, { connection: 'upgrade', upgrade: 'other' }).end();
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"whole":true}', () => response.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const file = join(folder, 'operator.json');
    const access = {
      url: `https://127.0.0.1:${port}`,
      serverName: 'localhost',
      root: authority.authorityPem,
      token: 'ek_x',
    };
    await writeFile(file, JSON.stringify(access), { mode: 0o600 });
    const operator = await operatorFromFile(file);
    for (const path of ['/before', '/middle', '/other-protocol']) {
      await assert.rejects(operator.get(path, z.looseObject({})), (error) => error instanceof Unreachable, path);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('a user without a home is asked to name the operator file, and one that is named needs no home', () => {
  const given = process.env['EDGEKEEP_OPERATOR'];
  delete process.env['EDGEKEEP_OPERATOR'];
  try {
    const homeless = () => {
      throw new Error('uv_os_homedir returned ENOENT');
    };
    assert.throws(
      () => operatorFileOf({ option: () => undefined }, homeless),
      (error) => error instanceof UsageError && /name the operator file by --operator/.test(error.message),
    );
    assert.equal(operatorFileOf({ option: () => '/somewhere/operator.json' }, homeless), '/somewhere/operator.json');
    assert.equal(
      operatorFileOf({ option: () => undefined }, () => '/home/ada'),
      '/home/ada/.config/edgekeep/operator.json',
    );
  } finally {
    if (given !== undefined) process.env['EDGEKEEP_OPERATOR'] = given;
  }
});

test('a hub that asks to slow down is asked again after as long as it says, with the same body; one that names no time is not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-operator-'));
  try {
    const { certificateChainPem: cert, privateKeyPem: key } = authority.server;
    const bodies: string[] = [];
    let refusals = 2;
    const answer = async (request: IncomingMessage, response: ServerResponse) => {
      bodies.push(await text(request));
      const headers = { 'content-type': 'application/json' };
      if (request.url === '/never' || refusals > 0) {
        refusals -= 1;
        const retry = request.url === '/never' ? {} : { 'retry-after': '7' };
        response.writeHead(429, { ...headers, ...retry });
        return void response.end('{"error":{"code":"rate-limited","message":"slow down","reasons":[]}}');
      }
      response.writeHead(200, headers);
      response.end('{}');
    };
    await using server = createServer({ cert, key }, (request, response) => void answer(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const file = join(folder, 'operator.json');
    const url = `https://127.0.0.1:${port}`;
    const access = { url, serverName: 'localhost', root: authority.authorityPem, token: 'ek_x' };
    await writeFile(file, JSON.stringify(access), { mode: 0o600 });
    const waits: number[] = [];
    const operator = await operatorFromFile(file, async (milliseconds) => void waits.push(milliseconds));
    await operator.sendLines('/lines', () => Readable.from(['{"a":1}\n', '{"b":2}\n']), z.looseObject({}));
    assert.deepEqual(waits, [7_000, 7_000]);
    assert.deepEqual(
      bodies,
      Array.from({ length: 3 }, () => '{"a":1}\n{"b":2}\n'),
    );
    await assert.rejects(
      operator.get('/never', z.looseObject({})),
      (error) => error instanceof HubRefusal && error.code === 'rate-limited',
    );
    assert.equal(waits.length, 2);
    // A hub that is never done with it.
    refusals = Number.POSITIVE_INFINITY;
    await assert.rejects(operator.get('/busy', z.looseObject({})), (error) => error instanceof HubRefusal);
    assert.equal(waits.length, 2 + Math.floor(300 / 7));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('where one node of a hub is not reached, or is stopping, the next address of the file is asked with the same key of the request', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-operator-'));
  try {
    const { certificateChainPem: cert, privateKeyPem: key } = authority.server;
    const asked: string[] = [];
    const nodeAt = (name: string, isStopping: () => boolean) =>
      createServer({ cert, key }, (request, response) => {
        asked.push(`${name} ${request.method} ${request.headers['idempotency-key'] === undefined ? '' : 'key'}`.trim());
        request.resume();
        response.writeHead(isStopping() ? 503 : 200, { 'content-type': 'application/json' });
        const stopping = { error: { code: 'hub-stopping', message: 'stopping', reasons: [] } };
        response.end(JSON.stringify(isStopping() ? stopping : {}));
      });
    let stopping = false;
    await using two = nodeAt('two', () => stopping);
    await using three = nodeAt('three', () => false);
    const portOf = async (server: typeof two) => {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      return typeof address === 'object' ? (address?.port ?? 0) : 0;
    };
    const otherUrls = [`https://127.0.0.1:${await portOf(two)}`, `https://127.0.0.1:${await portOf(three)}`];
    const file = join(folder, 'operator.json');
    // Nothing listens on port 1.
    const access = { url: 'https://127.0.0.1:1', otherUrls, serverName: 'localhost', root: authority.authorityPem };
    await writeFile(file, JSON.stringify({ ...access, token: 'ek_x' }), { mode: 0o600 });
    const operator = await operatorFromFile(file, async () => undefined);
    await operator.get('/v1/sites', z.looseObject({}));
    stopping = true;
    await operator.send('POST', '/v1/sites', {}, z.looseObject({}));
    assert.deepEqual(asked, ['two GET', 'two POST key', 'three POST key']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('an operator file and a signing key that others may read or change are refused, with what to do', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-operator-'));
  try {
    const file = join(folder, 'operator.json');
    const access = { url: 'https://127.0.0.1:1', root: authority.authorityPem, token: 'ek_x' };
    await writeFile(file, JSON.stringify(access));
    const keyFile = join(folder, 'key.pem');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    for (const [path, read] of [
      [file, () => operatorFromFile(file)],
      [keyFile, () => readSigner(keyFile)],
    ] as const) {
      for (const mode of [0o644, 0o640, 0o604, 0o622, 0o660]) {
        await chmod(path, mode);
        const shown = mode.toString(8).padStart(4, '0');
        const refused = {
          code: 'file-not-private',
          message: `${path} has mode ${shown}: others may read the secret in it: chmod 600 ${path}`,
        };
        await assert.rejects(read(), refused);
      }
      for (const mode of [0o600, 0o400]) {
        await chmod(path, mode);
        await read();
      }
    }
    await assert.rejects(operatorFromFile(join(folder, 'nowhere.json')), {
      code: 'settings-invalid',
      message: /^no operator file .*nowhere\.json: name yours/,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('a pipe is read as it comes: it has no mode of its own', async () => {
  const script = `const { readSecretFile } = await import(${JSON.stringify(import.meta.resolve('./bounded-file.ts'))});
    process.stdout.write(await readSecretFile('/dev/stdin', 100));`;
  // Node itself would hand over a socket.
  const words = ['-c', 'echo "a secret" | "$0" --input-type=module -e "$1"', process.execPath, script];
  const child = spawn('sh', words, { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.equal(await text(child.stdout), 'a secret\n');
});

test('an operator file of an earlier hub at an IPv6 address, written without brackets, is read', () => {
  const read = (url: string) => operatorAddress.parse({ url, root: authority.authorityPem }).url;
  assert.equal(read('https://::1:8444'), 'https://[::1]:8444');
  assert.equal(read('https://[2001:db8::7]:8444'), 'https://[2001:db8::7]:8444');
  assert.equal(read('https://2001:db8::7:8444'), 'https://[2001:db8::7]:8444');
  assert.equal(read('https://[fe80::1%25eth0]:8444'), 'https://[fe80::1%eth0]:8444');
  assert.equal(read('https://Hub.example./'), 'https://hub.example/');
  for (const url of ['http://[::1]:8444', 'https://:::1:8444', 'hub', 'https://010.0.0.1:8444', 'https://u:p@hub'])
    assert.throws(() => read(url));
});
