// A copied operational key and certificate, used without the TPM that they belong to: refused, and an alert names both addresses; the
// genuine device is not disturbed.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { closeAll } from '../support/closing.ts';
import { alertOf, alertsOf } from '../support/alerts.ts';
import { assertRefused } from '../support/answer.ts';
import { DeviceLink, zeroNonce } from '../support/device-link.ts';
import { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

const home = '127.0.0.1';
const away = '127.0.0.2';
const refused = { status: 403, code: 'bind-refused' } as const;

let fleet: TpmWorld;
let victim: TestDevice;
let thief: TestDevice;
let link: DeviceLink;

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open();
  victim = await fleet.device('victim');
  thief = await fleet.device('thief');
  link = await victim.connect(fleet.world.hub, home);
});
after(async () => {
  await closeAll(fleet, link);
});

/** One bind with the victim's operational key, from elsewhere. */
async function bindAsVictim(by: TestDevice, from = away, exporterOf?: DeviceLink) {
  await using stolen = await DeviceLink.open(fleet.world.hub, victim.credential, from);
  const evidence = await by.evidence('bind', zeroNonce, (exporterOf ?? stolen).exporter);
  return await stolen.ask('POST', '/v1/bind', { evidence });
}

// SECURITY.md: DEV-08
test(
  'a stolen operational key and certificate on a machine with another TPM raise an alert that names both addresses',
  { skip },
  async () => {
    assertRefused(await bindAsVictim(thief), { ...refused, reason: 'signature-invalid' });
    const alert = await alertOf(fleet.world, 'victim', 'clone');
    const { presence } = await fleet.world.device('victim');
    assert.equal(alert.severity, 'critical');
    assert.deepEqual([alert.data['addresses'], alert.data['genuineAddresses']], [[away], [home]]);
    assert.deepEqual([alert.data['genuineOnline'], alert.data['reasons']], [true, ['signature-invalid']]);
    assert.deepEqual(alert.data['certificates'], [presence.sessions[0]?.certificate]);
    assert.equal(alert.data['lastBoundAt'], presence.lastBoundAt);
    assert.match(alert.title, /somebody at 127\.0\.0\.2 has the operational key of victim, but not its root of trust/);
    await victim.release(link, model.name, model.version);
    assert.ok(link.connected, 'the genuine device was disturbed');
  },
);

// SECURITY.md: DEV-08
test(
  'without any TPM, with a quote of another connection, and by asking without a bind, it is the same alert',
  { skip },
  async () => {
    await using software = await TestDevice.withoutTpm('victim', join(fleet.world.folder, 'no-tpm'));
    const { count: before } = await alertOf(fleet.world, 'victim', 'clone');
    assertRefused(await bindAsVictim(software), { ...refused, reason: 'tier-mismatch' });
    assertRefused(await bindAsVictim(victim, '127.0.0.3', link), { ...refused, reason: 'qualifying-data-mismatch' });
    await using stolen = await DeviceLink.open(fleet.world.hub, victim.credential, '127.0.0.4');
    assertRefused(await stolen.ask('POST', '/v1/challenges'), { status: 401, code: 'connection-unbound' });
    assertRefused(await stolen.ask('POST', '/v1/bind', { evidence: {} }), { status: 400, code: 'request-invalid' });
    const alert = await alertOf(fleet.world, 'victim', 'clone', ({ count }) => count === before + 4);
    assert.deepEqual(alert.data['addresses'], [away, '127.0.0.3', '127.0.0.4']);
    assert.deepEqual(alert.data['reasons'], [
      'signature-invalid',
      'tier-mismatch',
      'qualifying-data-mismatch',
      'root-of-trust-not-shown',
    ]);
  },
);

test('a client that lacks the operational key raises no alert, under any name', { skip }, async () => {
  await using stranger = await DeviceLink.open(fleet.world.hub, undefined, away);
  const asked = await stranger.ask('POST', '/v1/bind', { evidence: {} });
  assertRefused(asked, { status: 401, code: 'certificate-required' });
  await using impostor = await TestDevice.withoutTpm('thief', join(fleet.world.folder, 'impostor'));
  await assert.rejects(impostor.recover(fleet.world.hub, away), /renewal-refused/);
  assert.deepEqual(await alertsOf(fleet.world, 'thief'), []);
});

test('where the device was last bound outlasts its connection and a restart of the hub', { skip }, async () => {
  await using device = await fleet.device('gone');
  await (await device.connect(fleet.world.hub, '127.0.0.7'))[Symbol.asyncDispose]();
  await fleet.world.restart();
  await using stolen = await DeviceLink.open(fleet.world.hub, device.credential, away);
  const evidence = await thief.evidence('bind', zeroNonce, stolen.exporter);
  assertRefused(await stolen.ask('POST', '/v1/bind', { evidence }), refused);
  const alert = await alertOf(fleet.world, 'gone', 'clone');
  assert.deepEqual([alert.data['genuineAddresses'], alert.data['genuineOnline']], [['127.0.0.7'], false]);
  assert.equal((await fleet.world.device('gone')).presence.lastAddress, '127.0.0.7');
});

// SECURITY.md: HUB-48
test('a device with a TPM that moves is let in at once, with no alert', { skip }, async () => {
  const device = await fleet.device('roaming');
  await using old = await device.connect(fleet.world.hub, home);
  await using moved = await device.connect(fleet.world.hub, away);
  // A response that was under way on the old connection.
  assert.equal((await old.ask('GET', '/v1/checkpoint?from=0')).status, 200);
  await device.release(moved, model.name, model.version);
  assert.deepEqual(await alertsOf(fleet.world, 'roaming'), []);
});

// SECURITY.md: DEV-11
test(
  'a TPM that answers for two places is found when the older one goes on, and the newcomer is cut',
  { skip },
  async () => {
    const device = await fleet.device('relayed');
    await using own = await device.connect(fleet.world.hub, home);
    await using relayed = await device.connect(fleet.world.hub, away);
    const { closed } = relayed;
    fleet.world.clock.advanceSeconds(61);
    assert.equal((await own.ask('GET', '/v1/checkpoint?from=0')).status, 200);
    await closed;
    const alert = await alertOf(fleet.world, 'relayed', 'identity-in-two-places');
    assert.deepEqual([alert.data['addresses'], alert.data['tier']], [[home, away], 'tpm']);
    assert.ok(own.connected);
    await using again = await DeviceLink.open(fleet.world.hub, device.credential, away);
    assertRefused(await device.bind(again), { status: 409, code: 'identity-in-use' });
  },
);

// SECURITY.md: HUB-47
test('a storm of refused binds grows one number: ten entries, then one a minute', { skip }, async () => {
  const device = await fleet.device('stormed');
  await using stolen = await DeviceLink.open(fleet.world.hub, device.credential, away);
  const evidence = await thief.evidence('bind', zeroNonce, stolen.exporter);
  for (let at = 0; at < 60; at += 1) assertRefused(await stolen.ask('POST', '/v1/bind', { evidence }), refused);
  const alert = await alertOf(fleet.world, 'stormed', 'clone', ({ count }) => count === 60);
  assert.equal(alert.state, 'open');
  const about = (entries: readonly { subject: string }[]) =>
    entries.filter(({ subject }) => subject === 'device:stormed');
  assert.equal(about(await fleet.world.entries('bind-refused')).length, 10);
  assert.equal(about(await fleet.world.entries('alert-raised')).length, 1);
});

// SECURITY.md: HUB-47
test('a thief spends no budget of the device whose key they have', { skip }, async () => {
  const small = await TpmWorld.open({ maxRequestsPerSecond: 0.2 });
  try {
    const device = await small.device('thrifty');
    await using stolen = await DeviceLink.open(small.world.hub, device.credential, away);
    for (let at = 0; at < 2; at += 1) await stolen.ask('POST', '/v1/challenges');
    assertRefused(await stolen.ask('POST', '/v1/challenges'), { status: 429, code: 'rate-limited' });
    await using own = await device.connect(small.world.hub, home);
    assert.equal((await own.ask('GET', '/v1/checkpoint?from=0')).status, 200);
  } finally {
    await small[Symbol.asyncDispose]();
  }
});

for (const rule of ['revoke', 'quarantine'] as const) {
  test(`with onClone ${rule} the copied key is dead after its first use`, { skip }, async () => {
    const strict = await TpmWorld.open({ identity: { onClone: rule } });
    try {
      const { world } = strict;
      const device = await strict.device('robbed');
      const other = await strict.device('other');
      await using own = await device.connect(world.hub, home);
      const { closed } = own;
      await using stolen = await DeviceLink.open(world.hub, device.credential, away);
      const evidence = await other.evidence('bind', zeroNonce, stolen.exporter);
      // The attacker's connection is cut like every other with that certificate, usually before the response arrives.
      await stolen.ask('POST', '/v1/bind', { evidence }).catch(() => undefined);
      await closed;
      await alertOf(world, 'robbed', 'clone');
      await using again = await DeviceLink.open(world.hub, device.credential, away);
      const code = rule === 'revoke' ? 'certificate-revoked' : 'device-quarantined';
      assertRefused(await device.bind(again), { status: 403, code });
      if (rule === 'quarantine') return;
      await device.recover(world.hub, home);
      await using back = await device.connect(world.hub, home);
      await device.release(back, model.name, model.version);
    } finally {
      await strict[Symbol.asyncDispose]();
    }
  });
}
