// Conditional access over a real hub: a policy's conditions on places, times, presence, health and claims decide about connections, files,
// reports, commands and requests. A policy takes effect at once, and a draft can be tried before that.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { defaultPolicyText } from '@edgekeep/core/policy/built-in';
import { resetPolicy } from '@edgekeep/hub/commands/reset-policy';
import { attestResponse, bindResponse } from '@edgekeep/wire/api/attest';
import { reportResponse } from '@edgekeep/wire/api/report';
import { policyView } from '@edgekeep/wire/api/policy';
import * as api from '@edgekeep/wire/api/policy';
import { siteDevicesResponse, siteView } from '@edgekeep/wire/api/site';
import { z } from 'zod';
import { closeAll } from './support/closing.ts';
import { accepted, type Answer, assertRefused } from './support/answer.ts';
import { DeviceLink } from './support/device-link.ts';
import { HubWorld } from './support/hub-world.ts';
import { policyForAnyTier } from './support/software-world.ts';
import { TestDevice } from './support/test-device.ts';

let world: HubWorld;
let press: TestDevice;
let oven: TestDevice;

before(async () => {
  world = await HubWorld.open({ settings: { access: { recheckSeconds: 3_600 } } });
  press = await enrolled('press-1');
  oven = await enrolled('oven-1');
  await world.publishModel('surface', '1.0.0', 'weights');
  const site = { name: 'graz', timeZone: 'Asia/Tokyo', networks: ['127.0.0.2/32'], country: 'AT', zone: '2' };
  const position = { latitude: 47.0707, longitude: 15.4395, radius: 800 };
  await world.operator.send('POST', '/v1/sites', { ...site, position }, siteView);
  await world.operator.send('POST', '/v1/sites/graz/devices', { add: ['press-1'] }, siteDevicesResponse);
});
after(async () => {
  await closeAll(world, oven, press);
});

async function enrolled(id: string): Promise<TestDevice> {
  const device = await TestDevice.withoutTpm(id, join(world.folder, id));
  await device.enroll(world);
  return device;
}

async function apply(statements: string, more: object = {}) {
  const text = `${policyForAnyTier}${statements}`;
  return world.operator.send('PUT', '/v1/policy', { text, ...more }, api.policyApplied);
}

async function tryApply(order: object): Promise<Answer> {
  return world.askOperator('PUT', '/v1/policy', { token: await world.adminToken(), body: JSON.stringify(order) });
}

const forbid = (action: string, condition: string) =>
  `@id("stop") forbid (principal, action == Edgekeep::Action::"${action}", resource) when { ${condition} };\n`;
const permit = (action: string, condition: string) =>
  `@id("go") permit (principal, action == Edgekeep::Action::"${action}", resource) when { ${condition} };\n`;

/** The hub's answer to a device that connects from an address. */
async function connectFrom(address: string, device = press): Promise<Answer> {
  await using link = await DeviceLink.open(world.hub, device.credential, address);
  return await device.bind(link);
}

async function linked(address: string, device = press): Promise<DeviceLink> {
  await using opened = new AsyncDisposableStack();
  const link = opened.use(await DeviceLink.open(world.hub, device.credential, address));
  accepted(await device.bind(link), bindResponse);
  opened.move();
  return link;
}

async function report(link: DeviceLink, body: object): Promise<Answer> {
  return link.ask('POST', '/v1/reports', body);
}

const refusedAccess = { status: 403, code: 'access-refused' } as const;

/** Each condition is true for one connection and false for the other; it is tried in a permit, and negated in a forbid. */
async function bothWays(
  condition: string,
  yes: () => Promise<Answer>,
  no: () => Promise<Answer>,
  says: RegExp,
): Promise<void> {
  for (const statements of [permit('connect', condition), forbid('connect', `!(${condition})`)]) {
    await apply(statements);
    accepted(await yes(), bindResponse);
    assertRefused(await no(), { ...refusedAccess, says });
  }
  await apply('');
}

suite('what a connection is decided by', () => {
  test('the address range it comes from', async () => {
    const condition = 'context.network.ip.isInRange(ip("127.0.0.2/31"))';
    await bothWays(
      condition,
      () => connectFrom('127.0.0.3'),
      () => connectFrom('127.0.0.4'),
      /ip is "127\.0\.0\.4"|it is "127\.0\.0\.4"/,
    );
  });

  // SECURITY.md: HUB-52
  test('the networks of the site; a device without a site is never at it', async () => {
    const condition = 'context.network.atSite';
    await bothWays(
      condition,
      () => connectFrom('127.0.0.2'),
      () => connectFrom('127.0.0.3'),
      /it is false/,
    );
    await bothWays(
      condition,
      () => connectFrom('127.0.0.2'),
      () => connectFrom('127.0.0.2', oven),
      /it is false/,
    );
  });

  test('the country of the address, by the own table and its longest network', async () => {
    const networks = [
      { network: '127.0.0.0/8', country: 'DE' },
      { network: '127.0.0.2/32', country: 'AT' },
    ];
    await world.operator.send('PUT', '/v1/countries', { networks }, api.countryNetworksResponse);
    const condition = 'context.network has country && context.network.country == "AT"';
    await bothWays(
      condition,
      () => connectFrom('127.0.0.2'),
      () => connectFrom('127.0.0.3'),
      /it is "DE"/,
    );
  });

  test('the zone of the site, and not for a device without one', async () => {
    const condition = 'context has zone && context.zone.lessThan(decimal("3.5"))';
    await bothWays(
      condition,
      () => connectFrom('127.0.0.2'),
      () => connectFrom('127.0.0.2', oven),
      /not known/,
    );
  });

  test('tags, groups and the site a device belongs to', async () => {
    await world.operator.send('POST', '/v1/devices/press-1/tags', { set: { line: 'press' } }, anything);
    await world.operator.send('POST', '/v1/groups', { name: 'pilot' }, anything);
    await world.operator.send('POST', '/v1/groups/pilot/members', { add: ['press-1'] }, anything);
    await world.operator.send('POST', '/v1/groups', { name: 'presses', filter: 'tags.line==press' }, anything);
    for (const condition of [
      'principal.hasTag("line") && principal.getTag("line") == "press"',
      'principal in Edgekeep::Group::"pilot"',
      'principal in Edgekeep::Group::"presses"',
      'principal in Edgekeep::Site::"graz"',
      'principal has site && principal.site == Edgekeep::Site::"graz"',
    ]) {
      await bothWays(
        condition,
        () => connectFrom('127.0.0.2'),
        () => connectFrom('127.0.0.2', oven),
        /./,
      );
    }
  });

  test('health, made of what the hub knows', async () => {
    await apply(forbid('connect', 'context.health.score > 20'));
    // A software root of trust attests with a warning, which counts 20.
    accepted(await connectFrom('127.0.0.2'), bindResponse);
    await apply(forbid('connect', 'context.health.score >= 20'));
    assertRefused(await connectFrom('127.0.0.2'), { ...refusedAccess, says: /score >= 20 \(it is 20\)/ });
    await apply('');
  });

  test('the time on the wall of the site, which is another than in UTC', async () => {
    // Nine hours ahead of UTC all year, so an hour that ends during the test does no harm.
    const { hour } = wallOf('Asia/Tokyo', world.clock.now());
    const condition = `context.time.hour == ${hour} || context.time.hour == ${(hour + 1) % 24}`;
    await bothWays(
      condition,
      () => connectFrom('127.0.0.2'),
      () => connectFrom('127.0.0.2', oven),
      /context\.time\.hour/,
    );
  });
});

// The device of answers that no test reads.
const anything = z.unknown();

function wallOf(timeZone: string, milliseconds: number): { readonly hour: number; readonly minute: number } {
  const [hour = 0, minute = 0] = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' })
    .format(milliseconds)
    .split(':')
    .map(Number);
  return { hour, minute };
}

suite('a location is a claim', () => {
  const inside = { latitude: 47.07, longitude: 15.44 };
  const condition =
    'context has claimedLocation && context.claimedLocation has withinSite && context.claimedLocation.withinSite';

  test('what a device says of its place counts until it is contradicted, and its age is known', async () => {
    await apply('');
    await using link = await linked('127.0.0.2');
    accepted(await report(link, { attributes: { location: inside } }), reportResponse);
    await apply(permit('attest', condition));
    accepted(await press.attest(link), attestResponse);
    accepted(await report(link, { attributes: { location: { latitude: 48.2, longitude: 16.37 } } }), reportResponse);
    assertRefused(await press.attest(link), { ...refusedAccess, says: /withinSite \(it is false\)/ });
    await apply(permit('attest', 'context has claimedLocation && context.claimedLocation.ageSeconds < 60'));
    accepted(await press.attest(link), attestResponse);
    world.clock.advanceSeconds(61);
    assertRefused(await press.attest(link), { ...refusedAccess, says: /ageSeconds < 60 \(it is 61\)|ageSeconds/ });
    accepted(await report(link, { attributes: { location: { latitude: 48.2, longitude: 16.37 } } }), reportResponse);
    accepted(await press.attest(link), attestResponse);
    await apply('');
  });

  // SECURITY.md: HUB-52
  test('coordinates that are not on earth are no claim', async () => {
    await apply('');
    await using link = await linked('127.0.0.2');
    await apply(permit('attest', 'context has claimedLocation'));
    for (const location of [
      { latitude: 90.1, longitude: 0 },
      { latitude: 0, longitude: -180.5 },
      { latitude: 1e308, longitude: 0 },
      { latitude: '47.07', longitude: '15.44' },
      { latitude: null, longitude: 15.44 },
      { latitude: 47.07 },
      'Graz',
      [47.07, 15.44],
    ]) {
      accepted(await report(link, { attributes: { location } }), reportResponse);
      assertRefused(await press.attest(link), { ...refusedAccess, says: /claimedLocation/ });
    }
    await using another = await linked('127.0.0.2');
    await another.send('POST', '/v1/reports', '{"attributes":{"location":{"latitude":NaN,"longitude":1}}}');
    assertRefused(await press.attest(link), refusedAccess);
    await apply('');
  });
});

suite('where the policy is asked', () => {
  test('files, reports and commands are each decided for themselves', async () => {
    await apply('');
    await using link = await linked('127.0.0.2');
    await apply(forbid('fetch', 'resource.name == "surface"'));
    assertRefused(await link.ask('GET', '/v1/models/surface'), {
      ...refusedAccess,
      says: /resource\.name == "surface"/,
    });
    await apply(forbid('publishTelemetry', 'context.network.atSite'));
    assertRefused(await report(link, { attributes: {} }), refusedAccess);
    accepted(await report(link, {}), reportResponse);
    await world.operator.send('PUT', '/v1/devices/press-1/desired', { attributes: { threshold: 1 } }, anything);
    await apply('');
    const told = accepted(await report(link, { desiredVersion: 0 }), reportResponse);
    assert.deepEqual(told.desired?.attributes, { threshold: 1 });
    await apply(forbid('receiveCommand', 'context.network.atSite'));
    assert.equal(accepted(await report(link, { desiredVersion: 0 }), reportResponse).desired, undefined);
    await apply('');
  });

  test('keys are decided with the same context', async () => {
    await apply(forbid('releaseKey', 'context.network.atSite'));
    const there = await linked('127.0.0.2');
    const answer = await press.askForKey(there, 'surface', '1.0.0');
    await there[Symbol.asyncDispose]();
    assertRefused(answer, {
      status: 403,
      code: 'release-refused',
      reason: 'policy-forbids',
      says: /atSite \(it is true\)/,
    });
    await using away = await linked('127.0.0.3');
    assert.equal((await press.askForKey(away, 'surface', '1.0.0')).status, 200);
    await apply('');
  });

  // SECURITY.md: HUB-57
  test('a token may do less than its scopes, never more, and an operator cannot lock themselves out by a policy', async () => {
    const token = await world.apiToken(['models:read']);
    await apply(forbid('administer', 'context.scope == "models:read"'));
    assertRefused(await world.askOperator('GET', '/v1/models', { token }), { ...refusedAccess, says: /models:read/ });
    await apply(permit('administer', 'context.network.ip.isLoopback()'));
    assertRefused(await world.askOperator('GET', '/v1/devices', { token }), { status: 403, code: 'scope-missing' });
    const text = `${policyForAnyTier}${forbid('administer', 'context.changes')}`;
    assertRefused(await tryApply({ text }), { status: 422, code: 'policy-refused', reason: 'policy-locks-out' });
    await apply('');
  });

  test('a refusal is in the audit log once, with the statement and what would change it', async () => {
    await apply(forbid('connect', 'context.network.ip.isInRange(ip("127.0.0.9/32"))'));
    const before = (await world.entries('access-refused')).length;
    for (let round = 0; round < 3; round += 1) assertRefused(await connectFrom('127.0.0.9'), refusedAccess);
    const entries = (await world.entries('access-refused')).slice(before);
    assert.equal(entries.length, 1);
    assert.equal(entries[0]?.subject, 'device:press-1');
    assert.match(JSON.stringify(entries[0]), /"statements":\["stop"\]/);
    assert.match(JSON.stringify(entries[0]), /127\.0\.0\.9/);
    await apply('');
  });
});

suite('a policy that comes into force', () => {
  // SECURITY.md: HUB-54
  test('closes the live connections that it no longer permits, and no other', async () => {
    await apply('');
    await using pressLink = await linked('127.0.0.2');
    await using ovenLink = await linked('127.0.0.2', oven);
    const applied = await apply(`@id("out") forbid (principal == Edgekeep::Device::"press-1", action, resource);`);
    assert.equal(applied.connectionsClosed, 1);
    await pressLink.closed;
    accepted(await report(ovenLink, {}), reportResponse);
    await apply('');
  });

  test('is what the next request on a live connection meets when the device changed', async () => {
    await apply(forbid('connect', 'principal.hasTag("stolen")'));
    await using link = await linked('127.0.0.2');
    accepted(await report(link, {}), reportResponse);
    await world.operator.send('POST', '/v1/devices/press-1/tags', { set: { stolen: 'yes' } }, anything);
    assertRefused(await report(link, {}), { ...refusedAccess, says: /statement stop forbids connect/ });
    await world.operator.send('POST', '/v1/devices/press-1/tags', { remove: ['stolen'] }, anything);
    assertRefused(await report(link, {}), { status: 401, code: 'connection-unbound' });
    accepted(await press.bind(link), bindResponse);
    await apply('');
  });

  // SECURITY.md: HUB-54
  test('decides every key that is recorded after it, also of devices that were asking meanwhile', async () => {
    await apply('');
    await using link = await linked('127.0.0.2');
    const asks = Promise.all(
      Array.from({ length: 6 }, async (_, round) =>
        round === 3
          ? apply(forbid('releaseKey', 'true == true || context.network.atSite')).then(
              () => undefined,
              () => undefined,
            )
          : press.askForKey(link, 'surface', '1.0.0'),
      ),
    );
    await asks;
    const { version } = await world.operator.get('/v1/policy', policyView);
    const applied = (await world.entries('policy-applied')).find(({ subject }) => subject === `policy ${version}`);
    const later = (await world.entries('key-released')).filter(({ index }) => index > (applied?.index ?? Number.NaN));
    for (const entry of later) assert.match(JSON.stringify(entry), new RegExp(`"policy ${version}"`));
    await apply('');
  });

  test('names the version it replaces, or is refused; each version can be brought back', async () => {
    const { version } = await apply('');
    assertRefused(await tryApply({ text: policyForAnyTier, expectVersion: version - 1 }), {
      status: 409,
      code: 'conflict',
    });
    const next = await apply(forbid('fetch', 'context.network.atSite'), { expectVersion: version });
    assert.equal(next.version, version + 1);
    const back = await world.operator.send('POST', '/v1/policy/rollback', { version }, api.policyApplied);
    assert.equal(back.version, version + 2);
    const { versions } = await world.operator.get('/v1/policy/versions?limit=3', api.policyVersions);
    assert.deepEqual(
      versions.map(({ version: each, digest }) => [each, digest === back.digest]),
      [
        [version + 2, true],
        [version + 1, false],
        [version, true],
      ],
    );
  });

  test('is refused when its own tests fail, or when recorded decisions make it err', async () => {
    const tests = {
      type: 'edgekeep-policy-tests/v1',
      tests: [
        {
          name: 'strangers stay out',
          question: { action: 'connect', principal: { kind: 'device', id: 'x' } },
          expect: 'refused',
        },
      ],
    };
    const failing = await tryApply({ text: policyForAnyTier, tests });
    assertRefused(failing, {
      status: 422,
      code: 'policy-refused',
      reason: 'policy-test-failed',
      says: /strangers stay out: expected refused/,
    });
    const errs = forbid(
      'connect',
      'context.attestation.ageSeconds + context.health.score * 9007199254740991 * 9007199254740991 > 3',
    );
    assertRefused(await tryApply({ text: `${policyForAnyTier}${errs}` }), {
      status: 422,
      code: 'policy-refused',
      reason: 'policy-error',
    });
    const { tests: kept } = await world.operator.get('/v1/policy/versions/1', api.policyVersionView);
    assert.equal(kept, null);
  });
});

suite('a simulation', () => {
  test('finds exactly who would gain and who would lose, in what was decided and in the fleet as it is', async () => {
    await apply('');
    await using here = await linked('127.0.0.2');
    await using there = await linked('127.0.0.3', oven);
    void [here, there];
    const text = `${policyForAnyTier}${forbid('connect', '!context.network.atSite')}${permit('fetch', 'principal in Edgekeep::Site::"graz"')}`;
    const { fleet, replayed, errors } = await world.operator.send(
      'POST',
      '/v1/policy/simulate',
      { text, last: 100 },
      api.simulation,
    );
    const lines = fleet.changes.map(
      (each) => `${each.change} ${each.action} ${each.by.join()} ${each.names.join()} ${each.count}`,
    );
    assert.deepEqual(
      new Set(lines),
      new Set(['loses connect stop device:oven-1 1', 'loses fetch built-in-fetch device:oven-1 1']),
    );
    assert.equal(errors.count, 0);
    assert.ok(replayed.changes.some(({ action, names }) => action === 'connect' && names.includes('device:oven-1')));
    assert.ok(fleet.principals >= 3);
    const same = await world.operator.send('POST', '/v1/policy/simulate', { text: policyForAnyTier }, api.simulation);
    assert.deepEqual([same.fleet.changes, same.replayed.changes], [[], []]);
    const { version } = await world.operator.get('/v1/policy', policyView);
    assert.equal(same.policyVersion, version);
  });

  test('refuses a group and a device that do not exist: they would seem to change nothing', async () => {
    const token = await world.adminToken();
    const ask = (groups: object) =>
      world.askOperator('POST', '/v1/policy/simulate', {
        token,
        body: JSON.stringify({ groups, fleet: false, last: 0 }),
      });
    const unknown = (says: RegExp) => ({ status: 404, code: 'not-found', says });
    assertRefused(await ask({ 'no-such-group': { add: ['oven-1'] } }), unknown(/no group no-such-group/));
    const made = await world.askOperator('POST', '/v1/groups', { token, body: JSON.stringify({ name: 'simulated' }) });
    assert.equal(made.status, 200);
    assertRefused(await ask({ simulated: { add: ['oven-1', 'oven-77'] } }), unknown(/no device oven-77/));
    assert.equal((await ask({ simulated: { add: ['oven-1'] } })).status, 200);
  });

  test('refuses a draft that is no policy', async () => {
    const token = await world.adminToken();
    const answer = await world.askOperator('POST', '/v1/policy/simulate', {
      token,
      body: JSON.stringify({ text: 'permit (' }),
    });
    assertRefused(answer, { status: 422, code: 'policy-refused', reason: 'policy-syntax' });
  });
});

// SECURITY.md: HUB-57
test('a policy that shuts everybody out is put back on the machine of the hub, and the log says so', async () => {
  const { version } = await apply(forbid('administer', 'context.scope == "devices:read"'));
  const token = await world.adminToken();
  assertRefused(await world.askOperator('GET', '/v1/devices', { token }), refusedAccess);
  await world.stop();
  assert.equal(await resetPolicy(world.hubFolder, world.clock.now()), version + 1);
  await world.start();
  assert.equal((await world.askOperator('GET', '/v1/devices', { token })).status, 200);
  assert.equal((await world.operator.get('/v1/policy', policyView)).text, defaultPolicyText);
  assert.equal((await world.entries('policy-applied')).at(-1)?.actor, 'hub-machine');
});
