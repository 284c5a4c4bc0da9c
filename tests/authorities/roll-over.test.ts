// Roll-over of the root with agents that are awake, restarted, or asleep all the time: none is lost, and none trusts a root that its own
// did not certify.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { parseCertificates } from '@edgekeep/core/identity/cms-certificates';
import { parsePem } from '@edgekeep/core/identity/pem';
import {
  authorityOverview,
  issuingRequestResponse,
  issuingRevokeResponse,
  pendingDevices,
} from '@edgekeep/wire/api/authority';
import { closeAll } from '../support/closing.ts';
import { HubWorld } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';
import { type Story, TestAgent } from '../support/test-agent.ts';
import { TestDevice } from '../support/test-device.ts';

const daySeconds = 86_400;
const askAgainSeconds = 601;
let world: HubWorld;
let oldRoot: OfflineRoot;
let newRoot: OfflineRoot;
let awake: TestAgent;
let asleep: TestAgent;
let story: Story;

before(async () => {
  const settings = { certificateSeconds: 35 * daySeconds, authorities: { overlapDays: 10 } };
  world = await HubWorld.open({ settings, aheadSeconds: -30 * daySeconds });
  oldRoot = await OfflineRoot.open(join(world.folder, 'root'), world.clock.now);
  newRoot = await oldRoot.successor(join(world.folder, 'root-2'));
  awake = await TestAgent.prepare(world, 'awake');
  asleep = await TestAgent.prepare(world, 'asleep');
  story = await awake.start();
  await story.next('connected');
  const first = await asleep.start();
  await first.next('connected');
  await asleep.stop();
});
after(async () => {
  await closeAll(world, asleep, awake);
});

const send = <T>(path: string, body: object, schema: Parameters<typeof world.operator.send<T>>[3]) =>
  world.operator.send('POST', `/v1/authorities/${path}`, body, schema);
const overview = () => world.operator.get('/v1/authorities', authorityOverview);
const rootStatuses = async () => (await overview()).roots.map(({ status }) => status);
const digestOf = (root: OfflineRoot) => toHex(certificateDigest(root.certificate));
const missing = async () =>
  (await world.operator.get('/v1/authorities/pending', pendingDevices)).devices.map(({ id }) => id);

/** Whether TLS verifies the device listener for a client that knows only this root. */
async function isTrustedBy(root: OfflineRoot): Promise<boolean> {
  const { host, port } = world.hub.deviceAddress;
  return new Promise((resolve) => {
    const socket = connect({ host, port, ca: root.pem, servername: 'localhost' }, () => {
      resolve(socket.authorized);
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
  });
}

// SECURITY.md: HUB-20
test('a root that the hub’s own root did not introduce is not announced', async () => {
  const stranger = await oldRoot.successor(join(world.folder, 'stranger'));
  const announce = async (certificates: string) => send('roots', { certificates }, authorityOverview);
  await assert.rejects(announce(await stranger.introduce(newRoot)), /NewWithOld was not signed by the old root/);
  const [root, newWithOld, oldWithNew] = (await oldRoot.introduce(newRoot)).split(/(?<=END CERTIFICATE-----\n)/);
  await assert.rejects(announce(`${root}${oldWithNew}${newWithOld}`), /does not certify/);
  await assert.rejects(announce(`${root}${newWithOld}`), /three certificates/);
  assert.deepEqual(await rootStatuses(), ['current']);
});

test('an announced root is learned by who is awake, and nothing else changes', async () => {
  await send('roots', { certificates: await oldRoot.introduce(newRoot) }, authorityOverview);
  assert.deepEqual(await rootStatuses(), ['current', 'next']);
  assert.deepEqual((await missing()).toSorted(), ['asleep', 'awake']);
  world.clock.advanceSeconds(askAgainSeconds);
  assert.equal((await story.next('root-learned')).sha256, digestOf(newRoot));
  // The report to the hub comes after the write to disk.
  while ((await missing()).includes('awake')) world.clock.advanceSeconds(askAgainSeconds);
  assert.deepEqual(await missing(), ['asleep']);
  assert.deepEqual([await isTrustedBy(oldRoot), await isTrustedBy(newRoot)], [true, false]);
  await assert.rejects(send('roots', { certificates: await oldRoot.introduce(newRoot) }, authorityOverview));
});

test('EST gives roots, issuing CA and both links, and who fetched them with a certificate is not waited for', async () => {
  await using device = await TestDevice.withoutTpm('estranged', join(world.folder, 'estranged'));
  await device.enroll(world);
  assert.deepEqual((await missing()).toSorted(), ['asleep', 'estranged']);
  await using link = await device.connect(world.hub);
  const { body } = await link.ask('GET', '/.well-known/est/cacerts');
  assert.equal(parseCertificates(Buffer.from(Buffer.from(body).toString(), 'base64')).length, 7);
  assert.deepEqual(await missing(), ['asleep']);
});

test('the new root comes into use under devices that keep asking; who knows either of the two finds a path', async () => {
  await using device = await TestDevice.withoutTpm('pump', join(world.folder, 'pump'));
  await device.enroll(world);
  await using link = await device.connect(world.hub);
  const { id, request, requests = [] } = await send('request', {}, issuingRequestResponse);
  await send('install', { certificates: await newRoot.signIssuing(request) }, authorityOverview);
  await assert.rejects(send(`issuing/${id}/activate`, {}, authorityOverview), /not yet known by 2 devices/);
  // As a device that pins only the old root.
  const oldHub = { deviceAddress: world.hub.deviceAddress, rootPem: oldRoot.pem };
  const fleet = { over: false, asked: 0 };
  const asking = (async () => {
    while (!fleet.over) {
      assert.equal((await link.ask('POST', '/v1/challenges')).status, 200);
      await using again = await device.connect(oldHub);
      assert.equal((await again.ask('POST', '/v1/challenges')).status, 200);
      fleet.asked += 1;
    }
  })();
  for (const each of requests) await send(`issuing/${each.id}/activate`, { force: true }, authorityOverview);
  const before = fleet.asked;
  while (fleet.asked < before + 5) await new Promise(setImmediate);
  fleet.over = true;
  await asking;
  assert.deepEqual(await rootStatuses(), ['previous', 'current']);
  assert.deepEqual([await isTrustedBy(oldRoot), await isTrustedBy(newRoot)], [true, true]);
  assert.equal(world.hub.rootPem, newRoot.pem, 'new devices are given the old root');
});

test('an agent that is restarted in the middle goes on with what it learned', async () => {
  await awake.stop();
  story = await awake.start();
  await story.next('recovered');
  await story.next('connected');
  const known: { readonly roots: readonly unknown[] } = JSON.parse(
    await readFile(join(awake.stateFolder, 'known-roots.json'), 'utf8'),
  );
  assert.equal(known.roots.length, 2);
});

test('the old root is dropped when the overlap is over and nothing hangs on it', async () => {
  world.clock.advanceSeconds(25 * daySeconds);
  await story.next('certificate-renewed');
  await world.hub.sweepAuthorities();
  assert.deepEqual(await rootStatuses(), ['previous', 'current'], 'dropped with an issuing CA under it');
  const { issuing } = await overview();
  const last = issuing.filter(({ root, status }) => root === 1 && status === 'retiring');
  assert.ok(last.length > 0);
  for (const { id } of last) await send(`issuing/${id}/revoke`, { note: 'nothing hangs on it' }, issuingRevokeResponse);
  await world.hub.sweepAuthorities();
  assert.deepEqual(await rootStatuses(), ['dropped', 'current']);
  world.clock.advanceSeconds(askAgainSeconds);
  assert.equal((await story.next('root-dropped')).sha256, digestOf(oldRoot));
});

// SECURITY.md: HUB-21
test('an agent that slept through all of it comes back without an operator, and believes the new root alone', async () => {
  const woken = await asleep.start();
  await woken.next('recovered');
  await woken.next('connected');
  assert.equal((await woken.next('root-learned')).sha256, digestOf(newRoot));
  assert.equal((await woken.next('root-dropped')).sha256, digestOf(oldRoot));
  while ((await missing()).includes('asleep')) world.clock.advanceSeconds(askAgainSeconds);
});

test('an operator file follows by the same steps', async () => {
  const args = ['authority', 'trust', '--operator', world.operatorFile];
  const main = join(import.meta.dirname, '../../cli/src/main.ts');
  await promisify(execFile)(process.execPath, [main, ...args]);
  const { root }: { readonly root: string } = JSON.parse(await readFile(world.operatorFile, 'utf8'));
  assert.deepEqual(
    parsePem(root, 'CERTIFICATE').map((der) => toHex(certificateDigest(parseCertificate(der)))),
    [digestOf(newRoot)],
  );
  await promisify(execFile)(process.execPath, [main, 'authority', 'list', '--operator', world.operatorFile]);
});
