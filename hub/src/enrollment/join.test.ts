import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupTerms, type GroupTerms } from '@edgekeep/wire/api/enrollment-group';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { createSite } from '../site/sites.ts';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { createEnrollmentGroup, getEnrollmentGroup } from './groups.ts';
import { allocateSite, joinEnrollmentGroup } from './join.ts';
import { termsOf } from './match.ts';

const by = { actor: 'person:ada/desk', nowMs: 1 };

async function storeWithGroup(terms: Partial<GroupTerms> = {}, maxDevices?: number): Promise<TestStore> {
  const store = await openTestStore();
  const { database } = store;
  await addDevices(database, deviceRow('press-1'), deviceRow('press-2'), deviceRow('press-3'));
  for (const [name, network] of [
    ['works', '192.0.2.0/24'],
    ['hall', '192.0.2.128/25'],
  ] as const) {
    const site = {
      name,
      description: '',
      timeZone: 'UTC',
      networks: [network],
      country: null,
      position: null,
      zone: null,
    };
    await createSite(database, { site, ...by });
  }
  const order = { name: 'line', kind: 'token', description: '', groups: [], maxDevices, ...by } as const;
  await createEnrollmentGroup(database, { ...order, terms: groupTerms.parse(terms) });
  return store;
}
async function groupIn({ database }: TestStore) {
  const row = await getEnrollmentGroup(database.read, 'line');
  return { name: row.name, kind: row.kind, createdAt: row.created_at, terms: termsOf(row) };
}
const newcomer = (deviceId: string, address = '192.0.2.130') => ({ deviceId, address, nowMs: 1 });
const join = async (store: TestStore, deviceId: string) => {
  const group = await groupIn(store);
  return store.database.write((trx) => joinEnrollmentGroup(trx, group, newcomer(deviceId)));
};
const siteOf = async (store: TestStore, deviceId: string, address?: string) => {
  const group = await groupIn(store);
  return store.database.write((trx) => allocateSite(trx, group, newcomer(deviceId, address)));
};

test('a group gives out its places one by one and no more: the last one goes to one device', async () => {
  await using store = await storeWithGroup({}, 2);
  await join(store, 'press-1');
  const outcomes = await Promise.allSettled([join(store, 'press-2'), join(store, 'press-3')]);
  assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  assert.equal(await refusalOf(join(store, 'press-3')), 'enrollment-refused: enrollment-group-full');
  assert.equal((await getEnrollmentGroup(store.database.read, 'line')).devices, 2);
});

test('what an import said of a device comes before what its group says of all', async () => {
  await using store = await storeWithGroup({ tags: { line: '4', colour: 'red' }, site: 'works' });
  const row = { id: 'press-1', root_sha256: null, imported_at: 0, site: 'hall' };
  await store.database.write(async (trx) => {
    await trx.insertInto('expected_device').values(row).execute();
    await trx.insertInto('device_tag').values({ device_id: 'press-1', key: 'line', value: '9' }).execute();
  });
  await join(store, 'press-1');
  const tags = await store.database.read.selectFrom('device_tag').select(['key', 'value']).orderBy('key').execute();
  assert.deepEqual(
    tags.map(({ key, value }) => `${key}=${value}`),
    ['colour=red', 'line=9'],
  );
  assert.equal(await siteOf(store, 'press-1'), 'hall');
  assert.equal(await siteOf(store, 'press-2'), 'works');
});

test('the address of a device gives it the site with the narrowest network, and none outside of all', async () => {
  await using store = await storeWithGroup({ siteByAddress: true });
  assert.equal(await siteOf(store, 'press-1', '192.0.2.130'), 'hall');
  assert.equal(await siteOf(store, 'press-2', '192.0.2.5'), 'works');
  assert.equal(await siteOf(store, 'press-3', '198.51.100.1'), null);
  assert.equal(await siteOf(store, 'press-3', 'unknown'), null);
});

test('a device does not begin elsewhere than at the site that was ordered, when that site is gone', async () => {
  await using store = await storeWithGroup({ site: 'works', siteByAddress: true });
  await store.database.write((trx) => trx.deleteFrom('site').where('name', '=', 'works').execute());
  assert.equal(await refusalOf(siteOf(store, 'press-1')), 'enrollment-refused: site-unknown');
});
