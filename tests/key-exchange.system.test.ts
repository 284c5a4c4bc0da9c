// The key exchange of every door of the hub and of every client: hybrid between ours, classical with peers of before.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { operatorFromFile } from '@edgekeep/cli/operator';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { tlsServerOptions } from '@edgekeep/wire/link/tls';
import { z } from 'zod';
import { DeviceLink } from './support/device-link.ts';
import { HubWorld } from './support/hub-world.ts';
import { relayHellos } from './support/tls-hello.ts';

const run = promisify(execFile);
const offered = ['X25519MLKEM768', 'X25519', 'P-256', 'P-384'];
const shares = ['X25519MLKEM768', 'X25519'];
/** What agents, hubs and command lines of the version before send. */
const groupsOfBefore = 'X25519:P-256:P-384';

let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(async () => {
  await world[Symbol.asyncDispose]();
});

const doors = () => [
  { door: 'device', port: world.hub.deviceAddress.port },
  { door: 'operator', port: world.hub.operatorAddress.port },
];

// SECURITY.md: NET-06
test('the agent’s connection to the hub has the hybrid group, in one round trip', async () => {
  await using relay = await relayHellos(world.hub.deviceAddress.port);
  const listener = { deviceAddress: { host: '127.0.0.1', port: relay.port }, rootPem: world.hub.rootPem };
  await using link = await DeviceLink.open(listener);
  assert.ok(link.connected);
  const { hellos, group } = relay.newest();
  assert.equal(group, 'X25519MLKEM768');
  assert.deepEqual(
    hellos.map((hello) => [hello.offered, hello.shares]),
    [[offered, shares]],
  );
});

// SECURITY.md: NET-06
test('the command line’s connection to the hub has the hybrid group, in one round trip', async () => {
  await using relay = await relayHellos(world.hub.operatorAddress.port);
  const file = join(world.folder, 'relayed.json');
  const access = z.looseObject({ url: z.string() }).parse(JSON.parse(await readFile(world.operatorFile, 'utf8')));
  const relayed = { ...access, url: `https://127.0.0.1:${relay.port}`, serverName: 'localhost' };
  await writeFile(file, JSON.stringify(relayed), { mode: 0o600 });
  const operator = await operatorFromFile(file);
  await operator.get('/v1/hub', z.unknown());
  const { hellos, group } = relay.newest();
  assert.equal(group, 'X25519MLKEM768');
  assert.deepEqual(
    hellos.map((hello) => [hello.offered, hello.shares]),
    [[offered, shares]],
  );
});

test(
  'openssl of before the hybrid groups connects to every door, with each classical group',
  {
    skip: await skipWithout('openssl'),
  },
  async () => {
    for (const { door, port } of doors())
      for (const group of ['X25519', 'P-256', 'P-384']) {
        await using relay = await relayHellos(port);
        const args = ['s_client', '-connect', `127.0.0.1:${relay.port}`, '-tls1_3', '-groups', group];
        const running = run('openssl', args);
        running.child.stdin?.end();
        await running;
        const seen = relay.newest();
        assert.deepEqual([seen.group, seen.hellos.length], [group, 1], `${door} ${group}`);
      }
  },
);

test('a hub of before is reached with its group, without another round trip', async () => {
  const authority = await makeTestAuthority('hub of before');
  const options = tlsServerOptions({
    ...authority.server,
    clientAuthoritiesPem: [authority.authorityPem],
    clientCertificate: 'optional',
  });
  const server = createServer({ ...options, ecdhCurve: groupsOfBefore });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    await using relay = await relayHellos(address.port);
    const deviceAddress = { host: '127.0.0.1', port: relay.port };
    await using link = await DeviceLink.open({ deviceAddress, rootPem: authority.authorityPem });
    assert.ok(link.connected);
    const { hellos, group } = relay.newest();
    assert.deepEqual([group, hellos.length], ['X25519', 1]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

// SECURITY.md: NET-06
test('a client that knows the hybrid group and prefers another is asked for it', async () => {
  for (const { door, port } of doors()) {
    await using relay = await relayHellos(port);
    const socket = connect({
      host: '127.0.0.1',
      port: relay.port,
      ca: world.hub.rootPem,
      servername: 'localhost',
      ecdhCurve: 'X25519:X25519MLKEM768',
    });
    await once(socket, 'secureConnect');
    socket.destroy();
    const { hellos, group } = relay.newest();
    assert.deepEqual([group, hellos.length], ['X25519MLKEM768', 2], door);
  }
});
