import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { Database } from './database.ts';

async function openStore() {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-apart-'));
  const database = await Database.open(join(folder, 'hub.sqlite'));
  return {
    database,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

// SECURITY.md: HUB-44
test('a long read leaves the event loop free', async () => {
  await using store = await openStore();
  const long = sql<{
    sum: number;
  }>`with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000000) select sum(i) as sum from n`;
  let turns = 0;
  const counting = setInterval(() => (turns += 1), 0);
  try {
    const { rows } = await long.execute(store.database.readApart);
    assert.deepEqual(
      rows.map(({ sum }) => sum),
      [4_500_001_500_000],
    );
  } finally {
    clearInterval(counting);
  }
  assert.ok(turns > 3, `${turns} turns`);
});

test('it reads what was committed, writes nothing, and tells of a query that fails', async () => {
  await using store = await openStore();
  const { readApart } = store.database;
  await store.database.writeAsHub(async (trx) => {
    await trx
      .insertInto('address_block')
      .values({ network: '192.0.2.0/24', reason: 'x', blocked_by: 'y', blocked_at: 1, expires_at: 2 })
      .execute();
  });
  const rows = await readApart.selectFrom('address_block').select('network').execute();
  assert.deepEqual(
    rows.map(({ network }) => network),
    ['192.0.2.0/24'],
  );
  await assert.rejects(readApart.deleteFrom('address_block').execute(), /readonly/);
  await assert.rejects(sql`select * from absent`.execute(readApart), /no such table/);
});

test('more questions than may wait are refused, and none of the others is lost', async () => {
  await using store = await openStore();
  const questions = Array.from({ length: 100 }, () => sql`select 1`.execute(store.database.readApart));
  const answers = await Promise.allSettled(questions);
  const refused = answers.filter((each) => each.status === 'rejected');
  assert.equal(answers.length - refused.length, 64);
  for (const { reason } of refused) assert.equal(reason.code, 'rate-limited');
});
