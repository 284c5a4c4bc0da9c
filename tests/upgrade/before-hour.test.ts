// A hub's folder, its signed backup, agents' states and a kit from the commit before "The first hour" (make-fixture.ts, at ed7aa418) still work.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { skipWithoutSoftHsm, softHsmModule } from '@edgekeep/hardware/pkcs11/testing';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { witnessPolicyView } from '@edgekeep/wire/api/audit';
import { hubKeysView, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { modelList } from '@edgekeep/wire/api/model-release';
import { personList } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { OfflineRoot } from '../support/offline-root.ts';
import { quotedPcrs } from '../support/test-device.ts';
import {
  assertGroupToken,
  assertKitEnrolls,
  assertReceiptVerifies,
  assertStillRevoked,
  assertTokens,
  openHub,
} from './as-before.ts';
import { OldWorld } from './old-world.ts';

const skip = await skipWithoutSoftHsm();
const models = [{ name: 'opaque', use: 'program' as const }];
let old: OldWorld;
before(async () => {
  old = await OldWorld.unpack('before-hour');
});
after(() => old?.[Symbol.asyncDispose]());

test('a hub has its devices, models, people and log as they were', async () => {
  await using world = await openHub(old);
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  const states = devices.map(({ id, state }) => `${id} ${state}`);
  const expected = ['chip-1 active', 'press-1 active', 'thin-1 quarantined', 'thin-2 quarantined'];
  assert.deepEqual(states.toSorted(), expected);
  const { models: found } = await world.operator.get('/v1/models', modelList);
  const releases = found.map(({ name, version, state }) => `${name} ${version} ${state}`);
  assert.deepEqual(releases.toSorted(), ['narrow 1.0.0 published', 'opaque 0.9.0 withdrawn', 'opaque 1.0.0 published']);
  const { people } = await world.operator.get('/v1/people', personList);
  assert.deepEqual(people.map(({ name }) => name).toSorted(), ['admin', 'berta']);
  const receivers = new Set((await world.entries('key-released')).map(({ subject }) => subject));
  assert.deepEqual([...receivers].toSorted(), ['device:chip-1', 'device:press-1']);
  assert.equal((await world.entries('rows-refused')).length, 0);
  await world.integrated();
});

test('its policies of witnesses, runtimes and boots, and its key list, are in force', async () => {
  await using world = await openHub(old);
  await world.restart();
  const { version, quorum, tiers } = await world.operator.get('/v1/witness-policy', witnessPolicyView);
  assert.deepEqual([version, quorum, [...tiers].toSorted()], [1, 1, ['secure-element', 'software', 'tpm']]);
  const named = z.looseObject({ name: z.string(), version: z.string() });
  const list = z.looseObject({ imaPolicies: z.array(named) });
  const { imaPolicies } = await world.operator.get('/v1/ima-policies', list);
  assert.deepEqual(
    imaPolicies.map((each) => `${each.name} ${each.version}`),
    ['runtime 1.0.0'],
  );
  const { list: keyList, keys } = await world.operator.get('/v1/authorities/keys', hubKeysView);
  assert.equal(keyList?.number, 2);
  assert.deepEqual(keys.map(({ purpose, status }) => `${purpose} ${status}`).toSorted(), [
    'attestation-result active',
    'backup active',
    'log active',
    'log previous',
  ]);
  assert.equal(world.hub.logKey.name, 'edgekeep.test/log/2');
});

test('its log is handed over again, by the root of before', async () => {
  await using world = await openHub(old);
  const root = await OfflineRoot.open(old.at('root'), world.clock.now);
  const path = '/v1/authorities/keys';
  const asked = await world.operator.send('POST', `${path}/request`, { purposes: ['log'] }, keyRequestResponse);
  const keyList = await root.signKeys(asked.request);
  const { keys } = await world.operator.send('POST', `${path}/list`, { keyList }, hubKeysView);
  const next = keys.find(({ purpose, status }) => purpose === 'log' && status === 'next');
  await world.operator.send('POST', `${path}/${next?.id}/activate`, { force: true }, hubKeysView);
  while (world.hub.logKey.name !== 'edgekeep.test/log/3') await world.operator.get(path, hubKeysView);
});

test('a certificate that was revoked before is revoked, also after another start', () => assertStillRevoked(old));

test('tokens do what they did: one is forbidden by a policy, one lets a device in', async () => {
  await using world = await old.open(old.withTokensAlive);
  await assertTokens(old, world);
  await assertGroupToken(
    old,
    world,
    [...quotedPcrs, 10].toSorted((a, b) => a - b),
  );
});

test('an agent comes back with its state, follows the log that was handed over, and gets its key', async () => {
  await using world = await openHub(old);
  await using agent = await old.agentOn(world, 'agent', 'press-1', { models });
  const story = await agent.start();
  await story.next('attested');
  await story.next('ready');
  while ((await world.trust()).policy.witnesses.length === 0) await world.integrated();
  assert.equal((await readFile(join(agent.stateFolder, 'checkpoint'), 'utf8')).split('\n')[0], 'edgekeep.test/log/2');
});

test('an agent with a secure element that slept over the hand-over comes back and gets its key', { skip }, async () => {
  const configuration = old.at('tokens', 'softhsm2.conf');
  await writeFile(configuration, `directories.tokendir = ${old.at('tokens', 'tokens')}\nlog.level = ERROR\n`);
  process.env['SOFTHSM2_CONF'] = configuration;
  await using world = await openHub(old);
  const pinFile = old.at('tokens', 'chip-1.pin');
  const rootOfTrust = { kind: 'pkcs11', module: softHsmModule, token: 'chip-1', pinFile };
  await using agent = await old.agentOn(world, 'chip', 'chip-1', { models, rootOfTrust });
  const story = await agent.start();
  assert.equal((await story.next('key-list-learned')).number, 2);
  const { tier } = await story.next('attested');
  assert.equal(tier, 'secure-element');
  await story.next('ready');
});

test('a kit enrolls', () => assertKitEnrolls(old));

test('a receipt from before, under the log that has ended, verifies with what the hub says today', () =>
  assertReceiptVerifies(old));

test('a backup that the hub signed restores under its root to a hub that starts', async () => {
  const roots = parsePem(await readFile(old.at('root', 'root.pem'), 'utf8'), 'CERTIFICATE').map(parseCertificate);
  const signedBy: unknown[] = [];
  await using world = await old.open((to) =>
    restoreHub(old.at('hub.backup'), to, { roots }, async (_, origin) => void signedBy.push(origin?.listNumber)),
  );
  assert.deepEqual(signedBy, [2]);
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  assert.equal(devices.length, 4);
});
