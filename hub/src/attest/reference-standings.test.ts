// Reference values on a hub: which count for a device, what is refused at publication, what people and alerts say.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  encodeReferenceValues,
  parseReferenceValues,
  type ReferenceValues,
} from '@edgekeep/core/attest/reference-values';
import { testEvent, uefiBoot } from '@edgekeep/core/attest/testing';
import { refusalOf } from '../common/testing-refusal.ts';
import { signDocument, trustTestPublisher } from '../publisher/testing-publisher.ts';
import { createGroup } from '../registry/groups.ts';
import { changeTags } from '../registry/tags.ts';
import { addDevices } from '../registry/testing-device.ts';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { ReferenceStandings } from './reference-standings.ts';
import { ReferenceStore } from './reference-store.ts';
import { testAttestation, testReferences, testTpmDevice } from './testing-device.ts';

const startMs = 1_800_000_000_000;
const startSeconds = startMs / 1_000;
const dayMs = 86_400_000;
const actor = 'person:ada/desk';
const press = testTpmDevice('press-1', 1);

async function hubOver({ database }: TestStore) {
  await trustTestPublisher(database);
  await addDevices(database, press.row);
  const time = { nowMs: startMs };
  const clock = () => time.nowMs;
  const references = new ReferenceStore(database, testAttestation, clock);
  const standings = new ReferenceStandings(database, references, testAttestation, clock);
  const publish = async (version: string, terms: Partial<ReferenceValues> = {}) => {
    const values = parseReferenceValues(testReferences(version, [...uefiBoot, testEvent(9, 0xd, version)]));
    const document = encodeReferenceValues({ ...values, ...terms });
    return references.publish({ document, signature: await signDocument(document), actor, nowMs: time.nowMs });
  };
  const inForce = async () => (await references.forDevice(press.id)).inForce.map(({ version }) => version).toSorted();
  const alerts = async () => {
    await standings.weigh();
    const rows = await database.read.selectFrom('alert').select(['kind', 'state', 'severity']).execute();
    return rows.map(({ kind, state, severity }) => `${kind} ${state} ${severity}`);
  };
  const boots = (booted: string | null) =>
    database.write((trx) => trx.updateTable('device').set({ booted }).where('id', '=', press.id).execute());
  return { database, references, standings, time, publish, inForce, alerts, boots };
}

test('the older of two releases counts until the grace time ends, and again when the newer one is withdrawn', async () => {
  await using store = await openTestStore();
  const { references, standings, time, publish, inForce } = await hubOver(store);
  await publish('1.0.0');
  await publish('2.0.0');
  assert.deepEqual(await inForce(), ['1.0.0', '2.0.0']);
  const [, old] = (await standings.all()).toSorted((a, b) => (a.set.version < b.set.version ? 1 : -1));
  assert.deepEqual(old?.superseded, { by: 'line 2.0.0', untilMs: startMs + 14 * dayMs });
  time.nowMs += 14 * dayMs;
  assert.deepEqual(await inForce(), ['2.0.0']);
  assert.deepEqual(await standings.inForce(), ['line 2.0.0']);
  await references.withdraw({ name: 'line', version: '2.0.0', actor, nowMs: time.nowMs });
  assert.deepEqual(await inForce(), ['1.0.0']);
});

test('sets are for devices by group, tag and product, as the hub decides or measured them', async () => {
  await using store = await openTestStore();
  const { database, publish, inForce } = await hubOver(store);
  const order = { description: '', filter: undefined, actor, nowMs: startMs };
  await createGroup(database, { ...order, name: 'line' });
  await publish('1.0.0', { name: 'by-group', target: { groups: ['line'] } });
  await publish('2.0.0', { name: 'by-tag', target: { tags: { owner: 'ada' } } });
  await publish('3.0.0', { name: 'by-product', target: { products: ['Press 4'] } });
  assert.deepEqual(await inForce(), []);
  const member = { group_name: 'line', device_id: press.id };
  await database.write((trx) => trx.insertInto('device_group_member').values(member).execute());
  assert.deepEqual(await inForce(), ['1.0.0']);
  await changeTags(database, { deviceId: press.id, set: { owner: 'ada' }, remove: [], actor, nowMs: startMs });
  await database.write((trx) => trx.updateTable('device').set({ product: 'Press 4' }).execute());
  assert.deepEqual(await inForce(), ['1.0.0', '2.0.0', '3.0.0']);
});

// SECURITY.md: DEV-67
test('a set for a claim group or for no group is not published, and a group that becomes a claim group has no devices', async () => {
  await using store = await openTestStore();
  const { database, publish, inForce } = await hubOver(store);
  const order = { description: '', actor, nowMs: startMs };
  const claimed = 'reported.updates.rebootRequired==false';
  await createGroup(database, { ...order, name: 'patched', filter: claimed });
  await createGroup(database, { ...order, name: 'tpms', filter: 'tier==tpm' });
  const refused = 'reference-values-refused: target-not-decided';
  assert.equal(await refusalOf(publish('1.0.0', { target: { groups: ['patched'] } })), refused);
  assert.equal(await refusalOf(publish('1.0.0', { target: { groups: ['missing'] } })), refused);
  await publish('1.0.0', { target: { groups: ['tpms'] } });
  assert.deepEqual(await inForce(), ['1.0.0']);
  await database.write((trx) =>
    trx.updateTable('device_group').set({ filter: 'seenAt>-1h' }).where('name', '=', 'tpms').execute(),
  );
  assert.deepEqual(await inForce(), []);
});

test('what no boot can match is not published: ended, below the lowest version, superseded, or the same version in other spelling', async () => {
  await using store = await openTestStore();
  const { time, publish } = await hubOver(store);
  const refused = (code: string) => `reference-values-refused: ${code}`;
  assert.equal(await refusalOf(publish('1.0.0', { notAfter: startSeconds })), refused('boot-expired'));
  await publish('2.0.0', { lowestVersion: '1.5.0' });
  assert.equal(await refusalOf(publish('1.4.0')), refused('boot-below-lowest'));
  assert.equal(await refusalOf(publish('02.0.0')), refused('version-alike'));
  await publish('1.6.0');
  time.nowMs += 14 * dayMs;
  assert.equal(await refusalOf(publish('1.7.0')), refused('boot-superseded'));
  // One of another name, or for a part of the devices, is superseded by nothing here.
  await publish('1.7.0', { name: 'other' });
  await publish('3.0.0', { target: { tags: { owner: 'ada' } } });
  await publish('2.5.0');
});

test('a set that runs out without a newer one is an alert before and after its end, until a newer one is there', async () => {
  await using store = await openTestStore();
  const { time, publish, alerts } = await hubOver(store);
  await publish('1.0.0', { notAfter: startSeconds + 20 * 86_400 });
  assert.deepEqual(await alerts(), []);
  time.nowMs += 7 * dayMs;
  assert.deepEqual(await alerts(), ['reference-values-ending open medium']);
  time.nowMs += 14 * dayMs;
  assert.deepEqual(await alerts(), ['reference-values-ending open high']);
  await publish('2.0.0');
  assert.deepEqual(await alerts(), ['reference-values-ending closed high']);
});

test('devices that boot a superseded release are an alert, low in the grace time and high after it', async () => {
  await using store = await openTestStore();
  const { time, publish, alerts, boots, standings } = await hubOver(store);
  await publish('1.0.0');
  await boots('line 1.0.0');
  assert.deepEqual(await alerts(), []);
  await publish('2.0.0');
  assert.deepEqual(await alerts(), ['boots-superseded open low']);
  time.nowMs += 14 * dayMs;
  assert.deepEqual(await alerts(), ['boots-superseded open high']);
  assert.deepEqual((await standings.all()).map(({ set, devices }) => `${set.version} ${devices}`).toSorted(), [
    '1.0.0 1',
    '2.0.0 0',
  ]);
  await boots('line 2.0.0');
  assert.deepEqual(await alerts(), ['boots-superseded closed high']);
});
