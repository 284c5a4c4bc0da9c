import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { blockRoot, removeExpected, unblockRoot } from '../registry/admission-lists.ts';
import { assertNotBlocked, isExpected } from './admission.ts';

const by = { actor: 'person:ada/desk', nowMs: 1 };
const [root, other] = ['a'.repeat(64), 'b'.repeat(64)];

async function storeWithImport(): Promise<TestStore> {
  const store = await openTestStore();
  const row = { imported_at: 0, site: null };
  await store.database.write((trx) =>
    trx
      .insertInto('expected_device')
      .values([
        { id: 'press-1', root_sha256: root, ...row },
        { id: 'press-2', root_sha256: null, ...row },
      ])
      .execute(),
  );
  return store;
}
const expected = ({ database }: TestStore, deviceId: string, rootSha256: string) =>
  isExpected(database.read, { deviceId, rootSha256 });

test('a device is expected with exactly the root of trust and the id of its import', async () => {
  await using store = await storeWithImport();
  assert.equal(await expected(store, 'press-1', root), true);
  assert.equal(await expected(store, 'press-2', other), false);
  assert.equal(await expected(store, 'press-9', other), false);
});

test('an id that is kept for one root of trust goes to no other, and that root of trust under no other id', async () => {
  await using store = await storeWithImport();
  assert.equal(await refusalOf(expected(store, 'press-1', other)), 'enrollment-refused: device-id-reserved');
  assert.equal(await refusalOf(expected(store, 'press-9', root)), 'enrollment-refused: root-of-trust-reserved');
});

test('what an import said counts no more once it is taken back', async () => {
  await using store = await storeWithImport();
  await removeExpected(store.database, { id: 'press-1', ...by });
  assert.equal(await expected(store, 'press-1', root), false);
  assert.equal(await expected(store, 'press-9', root), false);
});

test('a blocked root of trust does not enroll, imported or not, until it is unblocked; another one does', async () => {
  await using store = await storeWithImport();
  const order = { rootSha256: root, reason: 'stolen', ...by };
  await blockRoot(store.database, order);
  assert.equal(await refusalOf(expected(store, 'press-1', root)), 'enrollment-refused: root-of-trust-blocked');
  const idevid = assertNotBlocked(store.database.read, ['0'.repeat(64), root], 'IDevID');
  assert.equal(await refusalOf(idevid), 'enrollment-refused: root-of-trust-blocked');
  await assertNotBlocked(store.database.read, [other], 'root of trust');
  await unblockRoot(store.database, order);
  assert.equal(await expected(store, 'press-1', root), true);
  assert.equal(await refusalOf(unblockRoot(store.database, order)), 'not-found');
});
