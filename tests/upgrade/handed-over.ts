// What holds for each fixture whose log was handed over before (make-fixture.ts, since ed7aa418): its policies, its agents, its signed backup.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { softHsmModule } from '@edgekeep/hardware/pkcs11/testing';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { witnessPolicyView } from '@edgekeep/wire/api/audit';
import { hubKeysView, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { modelList } from '@edgekeep/wire/api/model-release';
import { personList } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { OfflineRoot } from '../support/offline-root.ts';
import { openHub } from './as-before.ts';
import type { OldWorld } from './old-world.ts';

const models = [{ name: 'opaque', use: 'program' as const }];

/** Devices, people and log; `releases` are those of the fixture as `name version state`, sorted. */
export async function assertContent(old: OldWorld, releases: readonly string[]): Promise<void> {
  await using world = await openHub(old);
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  const states = devices.map(({ id, state }) => `${id} ${state}`);
  const expected = ['chip-1 active', 'press-1 active', 'thin-1 quarantined', 'thin-2 quarantined'];
  assert.deepEqual(states.toSorted(), expected);
  const { models: found } = await world.operator.get('/v1/models', modelList);
  assert.deepEqual(found.map(({ name, version, state }) => `${name} ${version} ${state}`).toSorted(), releases);
  const { people } = await world.operator.get('/v1/people', personList);
  assert.deepEqual(people.map(({ name }) => name).toSorted(), ['admin', 'berta']);
  const receivers = new Set((await world.entries('key-released')).map(({ subject }) => subject));
  assert.deepEqual([...receivers].toSorted(), ['device:chip-1', 'device:press-1']);
  assert.equal((await world.entries('rows-refused')).length, 0);
  await world.integrated();
}

/** `waiting` are the keys that the fixture has beside those in use, as `purpose status`. */
export async function assertPoliciesInForce(old: OldWorld, waiting: readonly string[] = []): Promise<void> {
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
  const inUse = ['attestation-result active', 'backup active', 'log active', 'log previous'];
  const found = keys.map(({ purpose, status }) => `${purpose} ${status}`);
  assert.deepEqual(found.toSorted(), [...inUse, ...waiting].toSorted());
  assert.equal(world.hub.logKey.name, 'edgekeep.test/log/2');
}

export async function assertHandedOverAgain(old: OldWorld): Promise<void> {
  await using world = await openHub(old);
  const root = await OfflineRoot.open(old.at('root'), world.clock.now);
  const path = '/v1/authorities/keys';
  const asked = await world.operator.send('POST', `${path}/request`, { purposes: ['log'] }, keyRequestResponse);
  const keyList = await root.signKeys(asked.request);
  const { keys } = await world.operator.send('POST', `${path}/list`, { keyList }, hubKeysView);
  const next = keys.find(({ purpose, status }) => purpose === 'log' && status === 'next');
  await world.operator.send('POST', `${path}/${next?.id}/activate`, { force: true }, hubKeysView);
  while (world.hub.logKey.name !== 'edgekeep.test/log/3') await world.operator.get(path, hubKeysView);
}

/** The agent of press-1; `settings` are those that it had beside its model. */
export async function assertAgentFollows(old: OldWorld, settings: object = {}): Promise<void> {
  await using world = await openHub(old);
  await using agent = await old.agentOn(world, 'agent', 'press-1', { models, ...settings });
  const story = await agent.start();
  await story.next('attested');
  await story.next('ready');
  while ((await world.trust()).policy.witnesses.length === 0) await world.integrated();
  assert.equal((await readFile(join(agent.stateFolder, 'checkpoint'), 'utf8')).split('\n')[0], 'edgekeep.test/log/2');
}

/** The agent with a secure element, which was stopped before the hand-over. */
export async function assertSleeperReturns(old: OldWorld): Promise<void> {
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
}

export async function assertSignedBackupRestores(old: OldWorld): Promise<void> {
  const roots = parsePem(await readFile(old.at('root', 'root.pem'), 'utf8'), 'CERTIFICATE').map(parseCertificate);
  const signedBy: unknown[] = [];
  await using world = await old.open((to) =>
    restoreHub(old.at('hub.backup'), to, { roots }, async (_, origin) => void signedBy.push(origin?.listNumber)),
  );
  assert.deepEqual(signedBy, [2]);
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  assert.equal(devices.length, 4);
}
