// A device of a group that requires a post-quantum key exchange, on a connection that an attacker can record and open later.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { groupView } from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { alertsOf } from '../support/alerts.ts';
import { bareConnection, type BareConnection, exchange } from '../support/bound-socket.ts';
import { zeroNonce } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { TestDevice } from '../support/test-device.ts';

let world: HubWorld;
let strict: TestDevice;
let free: TestDevice;

before(async () => {
  world = await HubWorld.open({ settings: { access: { requirePostQuantum: ['strict', 'by-tag', 'no-such-group'] } } });
  strict = await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1'));
  free = await TestDevice.withoutTpm('press-2', join(world.folder, 'press-2'));
  await strict.enroll(world);
  await free.enroll(world);
  await world.operator.send('POST', '/v1/groups', { name: 'strict' }, groupView);
  await world.operator.send('POST', '/v1/groups/strict/members', { add: ['press-1'] }, z.unknown());
});
after(async () => {
  await strict?.[Symbol.asyncDispose]();
  await free?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

const answer = z.looseObject({
  error: z.looseObject({ code: z.string() }).optional(),
  deviceId: z.string().optional(),
});

async function bindOver(device: TestDevice, ecdhCurve: string) {
  const connection: BareConnection = await bareConnection(world, device, { ecdhCurve });
  try {
    const evidence = await device.evidence('bind', zeroNonce, connection.exporter);
    return await exchange(connection, '/v1/bind', { evidence }, answer);
  } finally {
    connection.socket.destroy();
  }
}

// SECURITY.md: NET-12
test('a device of the group is refused by name on each classical key exchange, with an alert, and let in on the hybrid one', async () => {
  for (const curve of ['X25519', 'P-256', 'P-384']) {
    assert.equal((await bindOver(strict, curve)).error?.code, 'post-quantum-required', curve);
  }
  assert.equal((await alertsOf(world, 'press-1', 'post-quantum-refused')).length, 1);
  assert.equal((await bindOver(strict, 'X25519MLKEM768')).deviceId, 'press-1');
});

test('a device of no such group is let in on a classical key exchange', async () => {
  assert.equal((await bindOver(free, 'X25519')).deviceId, 'press-2');
});

// SECURITY.md: NET-12
test('a device that joins the group, by a filter, gets nothing more on its classical connection', async () => {
  const connection = await bareConnection(world, free, { ecdhCurve: 'X25519' });
  try {
    const evidence = await free.evidence('bind', zeroNonce, connection.exporter);
    assert.equal((await exchange(connection, '/v1/bind', { evidence }, answer)).deviceId, 'press-2');
    await world.operator.send('POST', '/v1/groups', { name: 'by-tag', filter: 'id==press-2' }, groupView);
    assert.equal((await exchange(connection, '/v1/challenges', {}, answer)).error?.code, 'post-quantum-required');
    const again = await free.evidence('bind', zeroNonce, connection.exporter);
    assert.equal(
      (await exchange(connection, '/v1/bind', { evidence: again }, answer)).error?.code,
      'post-quantum-required',
    );
  } finally {
    connection.socket.destroy();
  }
});
