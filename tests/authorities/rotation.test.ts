// Rotation of the issuing CA under devices with continuous requests; its revocation; its retirement; and its lists, OCSP responses and
// keys.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { toBase64url, toHex } from '@edgekeep/core/bytes';
import { parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { parseCrl, verifyCrl } from '@edgekeep/core/identity/crl';
import { encodeCertId, encodeOcspRequest, issuerHashesOf } from '@edgekeep/core/identity/ocsp-request';
import type { IssuedClass } from '@edgekeep/core/identity/issuing-scope';
import { parsePem } from '@edgekeep/core/identity/pem';
import { Authorities } from '@edgekeep/hub/authority/authorities';
import { backUpHub } from '@edgekeep/hub/secrets/backup';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { Database } from '@edgekeep/hub/store/database';
import {
  authoritiesResponse,
  authorityOverview,
  issuingRequestResponse,
  issuingRevokeResponse,
} from '@edgekeep/wire/api/authority';
import { expiry } from '@edgekeep/wire/api/revocation';
import { assertRefused } from '../support/answer.ts';
import { DeviceLink } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';
import { TestAgent } from '../support/test-agent.ts';
import { TestDevice } from '../support/test-device.ts';
import { rowsIn } from '../support/outside-store.ts';

const daySeconds = 86_400;
let world: HubWorld;
let root: OfflineRoot;
before(async () => {
  world = await HubWorld.open({
    settings: { publicUrl: 'http://status.example', certificateSeconds: 35 * daySeconds },
    aheadSeconds: -30 * daySeconds,
  });
  root = await OfflineRoot.open(join(world.folder, 'root'), world.clock.now);
});
after(() => world?.[Symbol.asyncDispose]());

const send = <T>(path: string, body: object, schema: Parameters<typeof world.operator.send<T>>[3]) =>
  world.operator.send('POST', `/v1/authorities/${path}`, body, schema);
const overview = () => world.operator.get('/v1/authorities', authorityOverview);
const statuses = async (wanted?: IssuedClass) =>
  Object.fromEntries(
    (await overview()).issuing
      .filter((each) => wanted === undefined || each.class === wanted)
      .map(({ id, status }) => [id, status]),
  );
const activeId = async (wanted: IssuedClass = 'device') =>
  (await overview()).issuing.find((each) => each.status === 'active' && each.class === wanted)?.id ?? '';

/** The next issuing CA of a class, installed. */
async function next(wanted: IssuedClass = 'device'): Promise<{ readonly id: string; readonly pem: string }> {
  const { id, request } = await send('request', { classes: [wanted] }, issuingRequestResponse);
  const pem = await root.signIssuing(request);
  await send('install', { certificates: pem }, authorityOverview);
  return { id, pem };
}

async function newDevice(id: string): Promise<TestDevice> {
  const device = await TestDevice.withoutTpm(id, join(world.folder, id));
  await device.enroll(world);
  return device;
}

const issuerOf = (chainPem: string) => {
  const [leaf = new Uint8Array(0)] = parsePem(chainPem, 'CERTIFICATE');
  return toHex(parseCertificate(leaf).extensions.authorityKeyIdentifier ?? new Uint8Array(0));
};

/** Id of the issuing CA of the device listener's server certificate. */
async function shownIssuer(): Promise<string> {
  const { host, port } = world.hub.deviceAddress;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ca: root.pem, servername: 'localhost' }, () => {
      const { raw } = socket.getPeerCertificate();
      resolve(toHex(parseCertificate(raw).extensions.authorityKeyIdentifier ?? new Uint8Array(0)));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

test('an issuing CA is replaced under devices that keep asking, and not one request fails', async () => {
  await using device = await newDevice('press-1');
  await using link = await device.connect(world.hub);
  const old = await activeId();
  const fleet = { over: false, asked: 0 };
  const asking = (async () => {
    while (!fleet.over) {
      assert.equal((await link.ask('POST', '/v1/challenges')).status, 200);
      fleet.asked += 1;
    }
  })();
  const connecting = (async () => {
    while (!fleet.over) {
      await using again = await device.connect(world.hub);
      assert.equal((await again.ask('POST', '/v1/challenges')).status, 200);
    }
  })();
  const oldServers = await activeId('server');
  const [{ id }, servers] = [await next(), await next('server')];
  assert.equal(await shownIssuer(), oldServers, 'it was used before it was activated');
  for (const each of [id, servers.id]) await send(`issuing/${each}/activate`, {}, authorityOverview);
  const before = fleet.asked;
  await using late = await newDevice('press-2');
  fleet.over = true;
  await Promise.all([asking, connecting]);
  assert.ok(fleet.asked > before && link.connected);
  assert.deepEqual(await statuses('device'), { [old]: 'retiring', [id]: 'active' });
  assert.equal(await shownIssuer(), servers.id);
  assert.equal(issuerOf(late.credential.certificateChainPem), id);
  assert.equal(issuerOf(device.credential.certificateChainPem), old);
  assert.equal(parsePem(late.credential.certificateChainPem, 'CERTIFICATE').length, 2);
});

test('each issuing CA signs its own list', async () => {
  const { issuing } = await overview();
  for (const { id, class: each, status } of issuing) {
    const { body } = await world.askOperator('GET', `/crl/${id}`);
    const list = parseCrl(body);
    assert.equal(toHex(list.authorityKeyIdentifier), id);
    if (status === 'active' && each === 'device')
      assert.deepEqual(parseCrl((await world.askOperator('GET', '/crl')).body).number, list.number);
  }
  assertRefused(await world.askOperator('GET', `/crl/${'0'.repeat(40)}`), { status: 404, code: 'not-found' });
});

test('a certificate for another key, of another root, or that is no issuing CA is not installed', async () => {
  const { request } = await send('request', { classes: ['device'] }, issuingRequestResponse);
  const stranger = await root.successor(join(world.folder, 'stranger'));
  const refuse = async (certificates: string, says: RegExp) =>
    assert.rejects(send('install', { certificates }, authorityOverview), says);
  await refuse(await stranger.signIssuing(request), /does not chain to a root/);
  await refuse(root.pem, /there is none in it/);
  await refuse('nothing', /PEM/);
  const good = await root.signIssuing(request);
  await send('install', { certificates: good }, authorityOverview);
  await refuse(good, /is next, expected requested/);
  const id = Object.entries(await statuses()).find(([, status]) => status === 'next')?.[0] ?? '';
  await send(`issuing/${id}/abandon`, { note: 'a test' }, authorityOverview);
  await assert.rejects(send(`issuing/${id}/activate`, {}, authorityOverview), /is abandoned/);
});

test('an activation by date happens at that date and not before', async () => {
  const { id } = await next();
  const at = world.clock.now() + 3_600_000;
  await send(`issuing/${id}/activate`, { at }, authorityOverview);
  await world.hub.sweepAuthorities();
  assert.equal((await statuses())[id], 'next');
  world.clock.advanceSeconds(3_601);
  await world.hub.sweepAuthorities();
  assert.equal((await statuses())[id], 'active');
});

// SECURITY.md: HUB-22
test('a revoked issuing CA: its devices are cut off, come back by attestation, and it is worth nothing any more', async (t) => {
  const stolen = await activeId();
  await using device = await newDevice('press-3');
  await using link = await device.connect(world.hub);
  await using agent = await TestAgent.prepare(world, 'press-4');
  const story = await agent.start();
  await story.next('connected');
  const held = device.credential;
  await assert.rejects(send(`issuing/${stolen}/revoke`, { note: 'x' }, issuingRevokeResponse), /no other is installed/);
  const { id } = await next();
  const ended = link.closed;
  const answer = await send(`issuing/${stolen}/revoke`, { note: 'stolen' }, issuingRevokeResponse);
  await ended;
  assert.equal(answer.activated, id);
  assert.ok(answer.certificates >= 2 && answer.connectionsClosed >= 2);
  assert.equal(await activeId(), id);

  await t.test('its certificates count as none', async () => {
    await using asStranger = await DeviceLink.open(world.hub, held);
    const answered = await asStranger.ask('POST', '/v1/challenges');
    assertRefused(answered, { status: 401, code: 'certificate-required' });
  });

  await t.test('an agent is back by its root of trust, under the next one', async () => {
    await story.next('recovered');
    await story.next('connected');
  });

  await t.test('it leaves a list of all it issued, for ever, and no key', async () => {
    await world.hub.sweepAuthorities();
    const list = parseCrl((await world.askOperator('GET', `/crl/${stolen}`)).body);
    const [leaf = new Uint8Array(0), issuing = new Uint8Array(0)] = parsePem(held.certificateChainPem, 'CERTIFICATE');
    assert.equal(list.revoked.get(serialText(parseCertificate(leaf)))?.reason, 'cACompromise');
    const farAhead = list.thisUpdateSeconds + 5_000 * daySeconds;
    assert.deepEqual(verifyCrl(list, parseCertificate(issuing), farAhead), { kind: 'valid' });
    const names = await readdir(join(world.hubFolder, 'keys'));
    assert.ok(!names.includes(`issuing-${stolen.slice(0, 32)}.pem`), 'the stolen key is still there');
  });
});

test('the list of the root is taken after the revocation, and only the root’s own', async () => {
  const { id, pem } = await next();
  const sha256 = (await overview()).roots[0]?.sha256 ?? '';
  const install = (list: Uint8Array) => send(`roots/${sha256}/list`, { list: toBase64url(list) }, authorityOverview);
  const list = await root.revoke(pem);
  await assert.rejects(install(list), /is on the list/);
  await send(`issuing/${id}/revoke`, { note: 'stolen' }, issuingRevokeResponse);
  const stranger = await root.successor(join(world.folder, 'stranger-2'));
  await assert.rejects(install(await stranger.revoke(pem)), /this root did not sign/);
  await install(list);
  await assert.rejects(install(list), /this number/);
  assert.deepEqual((await world.askOperator('GET', `/crl/root/${sha256}`)).body, Buffer.from(list));
});

test('a backup has the keys of all issuing CAs, and a hub restored from it goes on with them', async () => {
  const { id } = await next();
  const file = join(world.folder, 'hub.backup');
  await backUpHub({ folder: world.hubFolder, file, plain: true, blobs: false });
  const folder = join(world.folder, 'restored');
  await restoreHub(file, folder, 'unsigned');
  await using database = await Database.open(join(folder, 'hub.sqlite'));
  const keyStore = plainKeys(join(folder, 'keys'));
  const restored = await Authorities.open(folder, { database, keyStore, clock: world.clock.now });
  assert.equal(restored.activeFor('device').id, await activeId());
  assert.equal(restored.activeFor('server').id, await activeId('server'));
  assert.ok(restored.issuing(id) !== undefined);
  await send(`issuing/${id}/abandon`, { note: 'a test' }, authorityOverview);
});

test('each issuing CA has a responder of its own for OCSP', async () => {
  const { issuing } = await overview();
  const { hub } = await world.operator.get('/v1/expiry', expiry);
  const answering = issuing.filter((each) => each.status === 'retiring' || each.status === 'active');
  for (const { id, class: each, status } of answering) {
    const name = `OCSP responder of ${status === 'active' ? `the issuing CA for ${each}s` : id.slice(0, 8)}`;
    assert.ok(
      hub.some((each) => each.name === name),
      name,
    );
  }
  const retiring = issuing.find((each) => each.status === 'retiring' && each.class === 'device')?.id ?? '';
  const chain = await world.operator.get('/v1/authorities/chain', authoritiesResponse);
  const issuers = chain.issuing.map(({ certificate }) => parseCertificate(Buffer.from(certificate, 'base64url')));
  const issuer = issuers.find((each) => toHex(each.extensions.subjectKeyIdentifier ?? new Uint8Array(0)) === retiring);
  assert.ok(issuer !== undefined);
  const unrevoked = 'select serial from certificate where issuer = ? and revoked_at is null';
  const [row] = await rowsIn(world.place, unrevoked, retiring);
  const serial = Buffer.from(String(row?.['serial']), 'hex');
  const body = encodeOcspRequest([encodeCertId('sha1', issuerHashesOf(issuer, 'sha1'), serial)]);
  const answer = await world.askOperator('POST', '/ocsp', { body, contentType: 'application/ocsp-request' });
  const signer = hub.find(({ name }) => name.endsWith(retiring.slice(0, 8)));
  assert.equal(answer.status, 200);
  assert.ok(signer !== undefined);
  // The responder's certificate is included; it names the retiring CA as its issuer.
  assert.ok(Buffer.from(answer.body).includes(Buffer.from(retiring, 'hex')));
});

test('an issuing CA retires when its last certificate has ended, and leaves a list but no key', async () => {
  const retiring = Object.entries(await statuses('device')).filter(([, status]) => status === 'retiring');
  assert.ok(retiring.length >= 1);
  await world.hub.sweepAuthorities();
  for (const [id] of retiring.slice(0, 1)) assert.equal((await statuses())[id], 'retiring');
  const active = await activeId();
  await world.restart();
  assert.equal(await activeId(), active);
  world.clock.advanceSeconds(36 * daySeconds);
  await world.hub.sweepAuthorities();
  const now = await statuses();
  const names = await readdir(join(world.hubFolder, 'keys'));
  for (const [id] of retiring) {
    assert.equal(now[id], 'retired');
    assert.ok(!names.includes(`issuing-${id.slice(0, 32)}.pem`));
    assert.equal(toHex(parseCrl((await world.askOperator('GET', `/crl/${id}`)).body).authorityKeyIdentifier), id);
  }
});
