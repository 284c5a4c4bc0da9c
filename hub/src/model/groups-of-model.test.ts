import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGroup } from '../registry/groups.ts';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { assignModel, groupsOfModel } from './groups-of-model.ts';

const by = { actor: 'person:ada/desk', nowMs: 1 };

async function storeWithGroups(): Promise<TestStore> {
  const store = await openTestStore();
  const groups = [
    ['named', undefined],
    ['by-tier', 'tier==tpm'],
    ['by-tag', 'tags.line==4'],
    ['by-claim', 'reported.temperature=gt=30'],
    ['by-claim-too', 'tier==tpm;reported.firmware==2'],
  ] as const;
  for (const [name, filter] of groups) await createGroup(store.database, { name, description: '', filter, ...by });
  return store;
}
const assign = ({ database }: TestStore, add: readonly string[], remove: readonly string[] = []) =>
  assignModel(database, { model: 'belt', add, remove, ...by });

test('a model is for the groups that it was assigned to, and for those of another model not', async () => {
  await using store = await storeWithGroups();
  assert.deepEqual(await assign(store, ['named', 'by-tier']), ['by-tier', 'named']);
  assert.deepEqual(await assign(store, ['by-tag'], ['named']), ['by-tag', 'by-tier']);
  assert.deepEqual(await groupsOfModel(store.database.read, 'belt'), ['by-tag', 'by-tier']);
  assert.deepEqual(await groupsOfModel(store.database.read, 'press'), []);
});

test('what devices say of themselves decides about no keys: a group by such a filter is refused, with all that came with it', async () => {
  await using store = await storeWithGroups();
  for (const claimed of ['by-claim', 'by-claim-too'])
    assert.equal(await refusalOf(assign(store, ['named', claimed])), 'conflict', claimed);
  assert.deepEqual(await groupsOfModel(store.database.read, 'belt'), []);
  assert.equal(await refusalOf(assign(store, ['none'])), 'not-found');
});

test('an order that changes nothing is no entry', async () => {
  await using store = await storeWithGroups();
  await assign(store, ['named']);
  await assign(store, ['named'], ['by-tag']);
  const kinds = (await auditEntries(store.database)).map(({ kind }) => kind);
  assert.equal(kinds.filter((kind) => kind === 'model-assigned').length, 1);
});
