import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Acting, asHub, establish, runActing } from '../store/authority.ts';
import type { WriteTransaction } from '../store/database.ts';
import { tableList } from '../store/security-tables.ts';
import { openTestStore } from '../store/testing-store.ts';
import { appendEntry } from './append.ts';

const row = { fingerprint: 'a', name: 'n', public_key: 'k', added_at: 1 };
const add = async (trx: WriteTransaction) => trx.insertInto('publisher').values(row).execute();
const entry = { at: 1, kind: 'publisher-trusted', actor: 'person:ada', subject: 'n', data: {} };
const nobody = { admit: async () => {}, due: () => false, record: async () => {}, settled: () => {} };

// SECURITY.md: HUB-33
test('a request that changes a row that decides appends an entry to the log in the same write, or changes nothing', async () => {
  await using store = await openTestStore();
  const { database } = store;
  await database.watch(tableList.replayed, nobody);
  const ask = (work: (trx: WriteTransaction) => Promise<unknown>) =>
    runActing(new Acting(), () => {
      establish({ name: 'person', stands: async () => {} });
      return database.write(work);
    });
  const names = async () => (await database.read.selectFrom('publisher').select('name').execute()).length;

  await assert.rejects(ask(add), { code: 'entry-missing' });
  assert.equal(await names(), 0);
  await ask(async (trx) => {
    await add(trx);
    await appendEntry(trx, entry);
  });
  assert.equal(await names(), 1);
  // Two writes of one group: the entry of the first is none of the second.
  const [first, second] = await Promise.allSettled([
    ask((trx) => appendEntry(trx, entry)),
    ask((trx) => trx.deleteFrom('publisher').execute()),
  ]);
  assert.deepEqual([first.status, second.status], ['fulfilled', 'rejected']);
  assert.equal(await names(), 1);
  // What the hub does for itself is in the entry about the rows of its group.
  await asHub(() => database.write((trx) => trx.deleteFrom('publisher').execute()));
  assert.equal(await names(), 0);
});
