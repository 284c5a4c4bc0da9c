// One identity in two places: copies of a software device's disk and of a token device's secret, against devices that only move or restart.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { cp } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { encodeDeviceToken } from '@edgekeep/core/identity/device-token';
import { revocationResponse } from '@edgekeep/wire/api/revocation';
import { tokenDeviceResponse } from '@edgekeep/wire/api/token-device';
import { enabledResponse } from '@edgekeep/wire/api/registry';
import { WireError } from '@edgekeep/wire/error';
import { z } from 'zod';
import { closeAll } from '../support/closing.ts';
import { alertOf, alertsOf } from '../support/alerts.ts';
import { type Answer, assertRefused } from '../support/answer.ts';
import { DeviceLink } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { TestDevice } from '../support/test-device.ts';

// The address of the genuine device, and the one of the copy.
const home = '127.0.0.1';
const away = '127.0.0.2';
// The hub learns of a closed connection within one of them.
const ATTEMPTS_MAX = 500;
const inUse = { status: 409, code: 'identity-in-use' } as const;

let world: HubWorld;
let holding: HubWorld;
const opened: AsyncDisposable[] = [];
before(async () => {
  const free = { maxRequestsPerSecond: 10_000, maxAnonymousRequestsPerSecond: 100_000 };
  world = await HubWorld.open({ settings: { ...free, identity: { silentSeconds: 8 } } });
  holding = await HubWorld.open({
    settings: { ...free, identity: { silentSeconds: 8, concurrentSessions: 'hold-both' } },
  });
});
after(async () => {
  await closeAll(holding, world, ...opened);
});

function keep<T extends AsyncDisposable>(each: T): T {
  opened.push(each);
  return each;
}

async function connect(device: TestDevice, hub: HubWorld, from = home): Promise<DeviceLink> {
  return keep(await device.connect(hub.hub, from));
}

async function newDevice(id: string, hub = world): Promise<{ device: TestDevice; link: DeviceLink }> {
  const device = keep(await TestDevice.withoutTpm(id, join(hub.folder, id)));
  await device.enroll(hub);
  return { device, link: await connect(device, hub) };
}

/** A copy of the disk is indistinguishable from the device: it recovers as the device would after a restart. */
async function copyOf(device: TestDevice, hub = world, from = away): Promise<TestDevice> {
  const folder = join(hub.folder, `${device.id}-copy-${crypto.randomUUID()}`);
  await cp(join(hub.folder, device.id), folder, { recursive: true });
  const copy = keep(await TestDevice.withoutTpm(device.id, folder));
  await copy.recover(hub.hub, from);
  return copy;
}

async function tryBind(device: TestDevice, hub: HubWorld, from: string): Promise<Answer> {
  return untilAnswered(async () => {
    await using link = await DeviceLink.open(hub.hub, device.credential, from);
    return await device.bind(link);
  });
}

/** The hub cuts a device off with a delay, which may hit a newer connection. A device tries again too. */
async function untilAnswered<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (let left = ATTEMPTS_MAX; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      const isCut = error instanceof WireError && (error.code === 'connection-lost' || error.code === 'closed');
      if (!isCut || left === 0) throw error;
    }
  }
}

async function works(link: DeviceLink): Promise<void> {
  assert.equal((await link.ask('GET', '/v1/checkpoint?from=0')).status, 200);
  assert.ok(link.connected);
}

// SECURITY.md: DEV-09
test('a copy of a software device’s disk is refused while the device is there, and the alert names both addresses', async () => {
  const { device, link } = await newDevice('copied');
  const copy = await copyOf(device);
  const answer = await tryBind(copy, world, away);
  assertRefused(answer, inUse);
  assert.ok(!Buffer.from(answer.body).toString().includes(home), 'the refusal tells the copy where the device is');
  assert.deepEqual(await alertsOf(world, 'copied'), [], 'so far it may be the device itself, which moved');

  world.clock.advanceSeconds(3);
  await works(link);
  const alert = await alertOf(world, 'copied', 'identity-in-two-places');
  assert.equal(alert.severity, 'critical');
  assert.deepEqual(alert.data['addresses'], [home, away]);
  assert.deepEqual([alert.data['first'], alert.data['second'], alert.data['rule']], [home, away, 'keep-first']);
  assert.match(alert.title, /127\.0\.0\.1 was first and continues/);

  for (let at = 0; at < 3; at += 1) {
    world.clock.advanceSeconds(3);
    assertRefused(await tryBind(copy, world, away), { ...inUse, says: /ask the operator/ });
    await works(link);
  }
  const { presence, online } = await world.device('copied');
  assert.ok(online);
  assert.deepEqual(
    presence.sessions.map(({ address }) => address),
    [home],
  );
  assert.equal(presence.lastAddress, home);
  const refused = await world.entries('bind-refused');
  assert.ok(refused.some(({ actor, subject }) => actor === `address:${away}` && subject === 'device:copied'));
});

test('behind one address a copy is distinguished from the device as well, because it cannot have the device’s operational key', async () => {
  const { device, link } = await newDevice('behind-nat');
  const copy = await copyOf(device, world, home);
  assertRefused(await tryBind(copy, world, home), inUse);
  world.clock.advanceSeconds(3);
  await works(link);
  const alert = await alertOf(world, 'behind-nat', 'identity-in-two-places');
  const { certificates } = await world.device('behind-nat');
  const serials = certificates.map(({ serial }) => serial);
  assert.equal(serials.length, 2);
  assert.deepEqual(alert.data['addresses'], [home, home]);
  assert.deepEqual(z.array(z.string()).parse(alert.data['certificates']).toSorted(), serials.toSorted());
});

// SECURITY.md: DEV-09
test('a place that binds again does not hide that there are two', async () => {
  const { device, link } = await newDevice('binds-again');
  const copy = await copyOf(device);
  assertRefused(await tryBind(copy, world, away), inUse);
  for (let at = 0; at < 3; at += 1) {
    world.clock.advanceSeconds(1);
    assert.equal((await device.bind(link)).status, 200);
  }
  const alert = await alertOf(world, 'binds-again', 'identity-in-two-places');
  assert.deepEqual(alert.data['addresses'], [home, away]);
  world.clock.advanceSeconds(1);
  assert.equal((await device.bind(link)).status, 200);
  assertRefused(await tryBind(copy, world, away), { ...inUse, says: /ask the operator/ });
});

test('a claim that is repeated does not put off the moment that shows the copy', async () => {
  const { device, link } = await newDevice('insistent');
  const copy = await copyOf(device);
  for (let at = 0; at < 3; at += 1) {
    assertRefused(await tryBind(copy, world, away), inUse);
    world.clock.advanceSeconds(1);
  }
  await works(link);
  assert.equal((await alertOf(world, 'insistent', 'identity-in-two-places')).count, 3);
});

// SECURITY.md: DEV-09
test('under hold-both neither goes on: the device is cut, disabled with the number of its alert, and let back by an operator', async () => {
  const { device, link } = await newDevice('held', holding);
  const copy = await copyOf(device, holding);
  assertRefused(await tryBind(copy, holding, away), inUse);
  holding.clock.advanceSeconds(3);
  const { closed } = link;
  await link.ask('GET', '/v1/checkpoint?from=0').catch(() => undefined);
  await closed;
  const alert = await alertOf(holding, 'held', 'identity-in-two-places');
  assert.match(alert.title, /both are held/);
  const { disabledReason } = await holding.device('held');
  assert.match(disabledReason ?? '', new RegExp(`hold-both.*alert ${alert.id}$`));
  const off = { status: 403, code: 'device-disabled' } as const;
  assertRefused(await tryBind(copy, holding, away), off);
  assertRefused(await tryBind(device, holding, home), off);
  assert.equal((await holding.entries('device-disabled')).length, 1);

  await holding.operator.send('POST', '/v1/devices/held/enable', {}, enabledResponse);
  await untilAnswered(async () => works(await connect(device, holding)));
});

// SECURITY.md: HUB-48
test('a device that moved is let in once its old connection has ended, with no alert', async () => {
  const { device, link } = await newDevice('mover');
  await link[Symbol.asyncDispose]();
  await works(await connectInTime(device, away));
  assert.deepEqual(await alertsOf(world, 'mover'), []);
  const { presence } = await world.device('mover');
  assert.equal(presence.lastAddress, away);
});

test('a place that was silent for its time is cut, not kept beside the newcomer', async () => {
  const { device, link } = await newDevice('half-dead');
  const { closed } = link;
  assertRefused(await tryBind(device, world, away), inUse);
  world.clock.advanceSeconds(9);
  const moved = await connect(device, world, away);
  await closed;
  await works(moved);
  const { presence } = await world.device('half-dead');
  assert.deepEqual(
    presence.sessions.map(({ address }) => address),
    [away],
  );
  assert.deepEqual(await alertsOf(world, 'half-dead'), []);
});

// SECURITY.md: HUB-48
test('renewal, with the next connection bound before the last is closed, is one place', async () => {
  const { device, link } = await newDevice('renewing');
  let last = link;
  for (let at = 0; at < 3; at += 1) {
    await device.renew(last);
    const next = await connect(device, world);
    world.clock.advanceSeconds(1);
    await works(last);
    await works(next);
    last = next;
  }
  assert.deepEqual(await alertsOf(world, 'renewing'), []);
  assert.equal((await world.device('renewing')).presence.elsewhere, false);
});

// SECURITY.md: HUB-48
test('restarts of the hub and of the device are no second place', async () => {
  const { device, link } = await newDevice('restarting');
  await world.restart();
  await link[Symbol.asyncDispose]();
  const same = await connect(device, world);
  await works(same);
  await same[Symbol.asyncDispose]();
  await device.recover(world.hub);
  await works(await connectInTime(device, home));
  assert.deepEqual(await alertsOf(world, 'restarting'), []);
});

// SECURITY.md: DEV-10
test('a copy that was there while the device was off is found when the device comes back with what it had', async () => {
  const { device, link } = await newDevice('forked');
  await link[Symbol.asyncDispose]();
  const copy = await copyOf(device);
  const theirs = await connectInTime(copy, away);
  await theirs[Symbol.asyncDispose]();
  assert.deepEqual(await alertsOf(world, 'forked'), [], 'nothing told it from the device');

  await works(await connectInTime(device, home));
  const [alert] = await alertsOf(world, 'forked', 'certificate-fork');
  assert.equal(alert?.severity, 'high');
  assert.deepEqual([alert?.data['addresses'], alert?.data['genuineAddresses']], [[home], [away]]);
});

test('a copy that renews from where the device left off is found when the device renews', async () => {
  const { device, link } = await newDevice('forked-later');
  await link[Symbol.asyncDispose]();
  const copy = await copyOf(device);
  const theirs = await connectInTime(copy, away);
  await copy.renew(theirs);
  await theirs[Symbol.asyncDispose]();
  await (await connectInTime(copy, away))[Symbol.asyncDispose]();

  const own = await connectInTime(device, home);
  await device.renew(own);
  await works(await connect(device, world));
  assert.equal((await alertOf(world, 'forked-later', 'certificate-fork')).count, 2);
});

test('once the certificate of the copy is revoked, the device’s own raises nothing any more', async () => {
  const { device, link } = await newDevice('settled');
  await link[Symbol.asyncDispose]();
  const copy = await copyOf(device);
  await (await connectInTime(copy, away))[Symbol.asyncDispose]();
  assert.equal((await world.device('settled')).presence.lastAddress, away);
  const order = { serials: await serialsBeside(device), reason: 'keyCompromise', note: 'the copy' };
  await world.operator.send('POST', '/v1/certificates/revoke', order, revocationResponse);
  await works(await connectInTime(device, home));
  assert.deepEqual(await alertsOf(world, 'settled'), []);
});

// SECURITY.md: HUB-47
test('a storm of a copy’s attempts grows numbers, neither log nor alerts', async () => {
  const { device, link } = await newDevice('stormed');
  const copy = await copyOf(device);
  await using stubborn = await DeviceLink.open(world.hub, copy.credential, away);
  const evidence = await copy.evidence('bind', new Uint8Array(32), stubborn.exporter);
  const before = await entriesAbout('stormed');
  for (let round = 0; round < 4; round += 1) {
    for (let at = 0; at < 50; at += 1) assertRefused(await stubborn.ask('POST', '/v1/bind', { evidence }), inUse);
    world.clock.advanceSeconds(3);
    await works(link);
    await works(link);
  }
  const { count } = await alertOf(world, 'stormed', 'identity-in-two-places', (alert) => alert.count >= 200);
  assert.equal(count, 200);
  const grown = (await entriesAbout('stormed')) - before;
  assert.ok(grown <= 1 + 11, `${grown} entries for 200 attempts`);
});

test('a device token from a second address is refused and used up; when the first is heard again there is an alert', async () => {
  const id = 'meter-7';
  const { secret } = await world.operator.send('POST', '/v1/token-devices', { id }, tokenDeviceResponse);
  assert.equal((await report(id, secret, home)).status, 200);
  world.clock.advanceSeconds(1);
  assertRefused(await report(id, secret, away), inUse);
  world.clock.advanceSeconds(3);
  assert.equal((await report(id, secret, home)).status, 200);
  const alert = await alertOf(world, id, 'identity-in-two-places');
  assert.deepEqual([alert.data['addresses'], alert.data['tier']], [[home, away], 'token']);
});

test('a token device that moved is let in when its old address has been silent, with no alert', async () => {
  const id = 'meter-8';
  const { secret } = await world.operator.send('POST', '/v1/token-devices', { id }, tokenDeviceResponse);
  assert.equal((await report(id, secret, home)).status, 200);
  world.clock.advanceSeconds(1);
  assertRefused(await report(id, secret, away), inUse);
  world.clock.advanceSeconds(9);
  assert.equal((await report(id, secret, away)).status, 200);
  world.clock.advanceSeconds(3);
  assert.equal((await report(id, secret, away)).status, 200);
  assert.deepEqual(await alertsOf(world, id), []);
});

/** The serial numbers of a device's certificates except the present one. */
async function serialsBeside(device: TestDevice): Promise<readonly string[]> {
  const own = new X509Certificate(device.credential.certificateChainPem).serialNumber.toLowerCase().replace(/^0+/, '');
  const { certificates } = await world.device(device.id);
  return certificates.map(({ serial }) => serial).filter((serial) => serial !== own);
}

/** Tries as a device does, until the hub has noticed that the last connection is closed. */
async function connectInTime(device: TestDevice, from: string): Promise<DeviceLink> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const link = keep(await DeviceLink.open(world.hub, device.credential, from));
    const { status, body } = await device.bind(link);
    if (status === 200) return link;
    assertRefused({ status, body }, inUse);
    await link[Symbol.asyncDispose]();
  }
  return assert.fail(`${device.id} is still refused: ${JSON.stringify((await world.device(device.id)).presence)}`);
}

async function entriesAbout(deviceId: string): Promise<number> {
  const kinds = ['bind-refused', 'alert-raised', 'attestation-refused'];
  const entries = (await Promise.all(kinds.map((kind) => world.entries(kind)))).flat();
  return entries.filter(({ subject }) => subject === `device:${deviceId}`).length;
}

function report(id: string, secret: string, from: string): Promise<Answer> {
  const { host, port } = world.hub.deviceAddress;
  const token = encodeDeviceToken(id, Math.floor(world.clock.now() / 1_000), secret);
  const headers = { 'content-type': 'application/json', authorization: `Device ${token}` };
  const to = { method: 'POST', host, port, path: '/v1/token/report', localAddress: from, headers };
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...to, ca: world.hub.rootPem, servername: 'localhost', agent: false }, (response) => {
      buffer(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    outgoing.once('error', reject);
    outgoing.end('{}');
  });
}
