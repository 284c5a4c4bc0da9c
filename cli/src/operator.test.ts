import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeTestAuthority } from '@edgekeep/wire/link/test-authority';
import { z } from 'zod';
import { UsageError } from './command.ts';
import { operatorFileOf, operatorFromFile, Unreachable } from './operator.ts';

const authority = await makeTestAuthority('test hub');

test('a hub that goes away before or in the middle of its answer is unreachable by name, and nothing is believed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-operator-'));
  try {
    const { certificateChainPem: cert, privateKeyPem: key } = authority.server;
    await using server = createServer({ cert, key }, (request, response) => {
      if (request.url === '/before') return void response.destroy();
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
    await writeFile(file, JSON.stringify(access));
    const operator = await operatorFromFile(file);
    for (const path of ['/before', '/middle']) {
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
