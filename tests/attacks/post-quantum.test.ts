// A device of a group that requires a post-quantum key exchange, on a connection that an attacker can record and open later.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkPostQuantum } from '@edgekeep/hub/commands/check/post-quantum';
import { hubSettingsSchema } from '@edgekeep/hub/settings';
import { policyView } from '@edgekeep/wire/api/policy';
import { postQuantumEffects, postQuantumView } from '@edgekeep/wire/api/post-quantum';
import { assertRefused } from '../support/answer.ts';
import { newSeed, openHybrid, registerHybridKey, releaseHybrid } from '../support/hybrid-device.ts';
import { policyForAnyTier } from '../support/software-world.ts';
import { groupView } from '@edgekeep/wire/api/registry';
import { openReader } from '@edgekeep/hub/store/engine/place';
import type { Tables } from '@edgekeep/hub/store/schema';
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

// SECURITY.md: NET-13
test('groups that operators set count at once: no connection on a classical key exchange, and no key without a hybrid wrap', async () => {
  const { operator } = world;
  const set = (group: string) => operator.send('PUT', '/v1/post-quantum', { groups: [group] }, postQuantumView);
  await assert.rejects(set('set-later'), /no group set-later/);
  await operator.send('POST', '/v1/groups', { name: 'set-later' }, groupView);
  await operator.send('POST', '/v1/groups/set-later/members', { add: ['press-2'] }, z.unknown());
  await operator.send('POST', '/v1/groups', { name: 'claimed', filter: 'reported.line==1' }, groupView);
  await assert.rejects(set('claimed'), /claim group/);
  const order = { groups: ['set-later'] };
  const { effects } = await operator.send('POST', '/v1/post-quantum/simulate', order, postQuantumEffects);
  const tiers = [{ tier: 'software', devices: 1, excluded: 1 }];
  assert.deepEqual(effects, [{ group: 'set-later', exists: true, tiers }]);
  const now = await set('set-later');
  assert.deepEqual([now.version, now.groups, now.settings], [1, ['set-later'], ['strict', 'by-tag', 'no-such-group']]);
  assert.deepEqual(now.effects.find(({ group }) => group === 'no-such-group')?.exists, false);
  assert.equal((await bindOver(free, 'X25519')).error?.code, 'post-quantum-required');

  await world.publishModel('belt', '1.0.0', 'weights');
  await operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
  await using link = await free.connect(world.hub);
  const asked = await free.askForBoundKey(link, 'belt', '1.0.0');
  assertRefused(asked, { status: 403, code: 'post-quantum-required', reason: 'post-quantum-required' });
  assert.equal((await alertsOf(world, 'press-2', 'post-quantum-refused')).length > 0, true);
  const seed = newSeed();
  await registerHybridKey(free, link, seed);
  const released = await releaseHybrid(free, link, { name: 'belt', version: '1.0.0' });
  assert.equal((await openHybrid(free, released, seed)).length, 32);
  const after = await operator.get('/v1/post-quantum', postQuantumView);
  const [own] = after.effects.filter(({ group }) => group === 'set-later');
  assert.deepEqual(own?.tiers, [{ tier: 'software', devices: 1, excluded: 0 }]);
  // The same group twice is one; an empty list removes the rule.
  const twice = await operator.send('PUT', '/v1/post-quantum', { groups: ['set-later', 'set-later'] }, postQuantumView);
  assert.deepEqual([twice.version, twice.groups], [2, ['set-later']]);
  await operator.send('PUT', '/v1/post-quantum', { groups: [] }, postQuantumView);
  const entries = await world.entries('post-quantum-set');
  assert.deepEqual(
    entries.map(({ data }) => JSON.stringify(data)),
    ['{"groups":["set-later"],"version":1}', '{"groups":["set-later"],"version":2}', '{"groups":[],"version":3}'],
  );
});

test('hub check names the groups of the rule that do not exist', async () => {
  const settings = { access: { requirePostQuantum: ['strict', 'no-such-group'] } };
  await using store = await openReader<Tables>(world.storeFile);
  const [finding] = await checkPostQuantum(store, hubSettingsSchema.parse(settings));
  assert.equal(finding?.state, 'failed');
  assert.match(finding?.found ?? '', /do not exist: no-such-group:/);
  const [none] = await checkPostQuantum(store, hubSettingsSchema.parse({ access: { requirePostQuantum: ['strict'] } }));
  assert.equal(none?.state, 'ok');
});
