// A hub's folder, its backup, an agent's state and a kit from the commit before "The joins" (make-fixture.ts, at f83494fe) still work.
import assert from 'node:assert/strict';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { modelList } from '@edgekeep/wire/api/model-release';
import { personList } from '@edgekeep/wire/api/people';
import { certificateList } from '@edgekeep/wire/api/revocation';
import { z } from 'zod';
import { accepted, assertRefused } from '../support/answer.ts';
import { TestDevice } from '../support/test-device.ts';
import { OldWorld } from './old-world.ts';

let old: OldWorld;
before(async () => {
  old = await OldWorld.unpack('before-joins');
});
after(() => old?.[Symbol.asyncDispose]());

const openHub = () => old.open((to) => cp(old.at('hub'), to, { recursive: true }));

test('a hub has its devices, models, people and log as they were', async () => {
  await using world = await openHub();
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  const states = devices.map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual(states.toSorted(), ['press-1 active', 'thin-1 quarantined', 'thin-2 quarantined']);
  const { models } = await world.operator.get('/v1/models', modelList);
  const releases = models.map(({ version, state }) => `${version} ${state}`);
  assert.deepEqual(releases.toSorted(), ['0.9.0 withdrawn', '1.0.0 published']);
  const { people } = await world.operator.get('/v1/people', personList);
  assert.deepEqual(people.map(({ name }) => name).toSorted(), ['admin', 'berta']);
  assert.equal((await world.entries('key-released')).length, 1);
  await world.integrated();
});

test('what the store held is adopted once, by an entry with the digest of its state', async () => {
  await using world = await openHub();
  await world.restart();
  const reasons = (await world.entries('security-state')).map(
    ({ data }) => z.looseObject({ reason: z.string() }).parse(data).reason,
  );
  assert.deepEqual(reasons, ['adopted']);
});

test('a certificate that was revoked before is revoked, also after another start', async () => {
  await using world = await openHub();
  await world.restart();
  const { certificates } = await world.operator.get('/v1/certificates?device=thin-2', certificateList);
  assert.deepEqual(
    certificates.map(({ reason }) => reason),
    ['keyCompromise'],
  );
});

test('tokens do what they did: one is forbidden by a policy, one lets a device in', async () => {
  await using world = await old.open(old.withTokensAlive);
  const file: unknown = JSON.parse(await readFile(old.at('tokens.json'), 'utf8'));
  const { group, enroller, forbidden } = z
    .object({ group: z.string(), enroller: z.string(), forbidden: z.string() })
    .parse(file);
  const ask = (token: string) => world.askOperator('POST', '/v1/enrollment-tokens', { token, body: '{}' });
  assert.equal((await ask(enroller)).status, 200);
  assertRefused(await ask(forbidden), { status: 403, code: 'access-refused' });
  await using device = await TestDevice.withoutTpm('line-3-1', join(world.folder, 'line-3-1'));
  accepted(await device.tryEnroll(world, group), certificateResponse);
});

test('an agent comes back with its state and gets its key', async () => {
  await using world = await openHub();
  await using agent = await old.agentOn(world, 'agent', 'press-1', { models: [{ name: 'opaque', use: 'program' }] });
  const story = await agent.start();
  await story.next('attested');
  await story.next('ready');
});

test('a kit enrolls', async () => {
  await using world = await old.open(old.withTokensAlive);
  const kit: object = JSON.parse(await readFile(old.at('kit', 'agent.json'), 'utf8'));
  await using agent = await old.agentOn(world, 'kit', 'press-2', kit);
  const story = await agent.start();
  await story.next('enrolled');
  await story.next('attested');
});

test('a receipt from before verifies with what the hub says today', async () => {
  await using world = await openHub();
  const receipt = await readFile(old.at('agent', 'receipts', 'opaque.json'));
  const trust = await world.trust();
  // The device has it from before any device cosigned.
  const verdict = verifyReceipt(receipt, { ...trust, policy: { ...trust.policy, quorum: 0 } });
  assert.equal(verdict.kind, 'verified', JSON.stringify(verdict));
});

test('a backup restores to a hub that starts', async () => {
  await using world = await old.open((to) => restoreHub(old.at('hub.backup'), to, 'unsigned'));
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  assert.equal(devices.length, 3);
});
