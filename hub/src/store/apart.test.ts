import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { sql } from 'kysely';
import { Acting, runActing } from './authority.ts';
import { storePlace } from './testing-place.ts';
import { Database } from './database.ts';

async function openStore(thread?: URL) {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-apart-'));
  const database = await Database.open(await storePlace(folder), 'optional', thread);
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
  await assert.rejects(readApart.deleteFrom('address_block').execute(), /read-?only|takes no writes/);
  await assert.rejects(sql`select * from absent`.execute(readApart), /no such table|does not exist/);
});

test('more questions than may wait are refused, and none of the others is lost', async () => {
  await using store = await openStore();
  const questions = Array.from({ length: 100 }, () => sql`select 1`.execute(store.database.readApart));
  const answers = await Promise.allSettled(questions);
  const refused = answers.filter((each) => each.status === 'rejected');
  // One is with the thread.
  assert.equal(answers.length - refused.length, 65);
  for (const { reason } of refused) assert.equal(reason.code, 'rate-limited');
});

// SECURITY.md: HUB-44
test('payers take turns: who asks for one thing waits for one of another payer, not for all', async () => {
  await using store = await openStore();
  const done: string[] = [];
  const ask = (payer: string) => {
    const acting = new Acting();
    acting.payer = payer;
    return runActing(acting, async () => {
      await sql`select 1`.execute(store.database.readApart);
      done.push(payer);
    });
  };
  await Promise.all([...Array.from({ length: 20 }, () => ask('greedy')), ask('modest'), ask('other')]);
  assert.deepEqual(done.slice(0, 4), ['greedy', 'greedy', 'modest', 'other']);
});

test('a page comes as bytes, what the thread refuses is refused here, and after the thread has died the next starts it again', async () => {
  await using store = await openStore(new URL('./testing-thread.ts', import.meta.url));
  const { database } = store;
  const echo = async (text: string) => Buffer.from(await database.pageApart('echo', { text })).toString();
  assert.equal(await echo('Süd'), '{"text":"Süd"}');
  await assert.rejects(database.pageApart('echo', { text: 1 }), /expected string/);
  const reasons = [{ code: 'a', message: 'b' }];
  await assert.rejects(database.pageApart('refuse', {}), {
    code: 'request-invalid',
    message: 'no such field',
    reasons,
  });
  await assert.rejects(database.pageApart('absent', {}), /makes no absent/);
  const [fatal, next] = await Promise.allSettled([database.pageApart('die', {}), echo('after')]);
  assert.equal(fatal.status, 'rejected');
  assert.deepEqual(next, { status: 'fulfilled', value: '{"text":"after"}' });
});

test('a document comes with its compressed form and the name of its content', async () => {
  await using store = await openStore(new URL('./testing-thread.ts', import.meta.url));
  const echo = { name: 'echo', query: z.object({ text: z.string() }), make: async () => new Uint8Array(0) };
  const { bytes, gzip, sha256 } = await store.database.documentApart(echo, { text: 'Süd' });
  assert.equal(Buffer.from(bytes).toString(), 'Süd');
  assert.deepEqual(gunzipSync(gzip), Buffer.from(bytes));
  assert.equal(sha256, createHash('sha256').update('Süd').digest('hex'));
});

// SECURITY.md: HUB-44
test('a document for everybody is not refused because the payer who asked first has too many questions', async () => {
  await using store = await openStore(new URL('./testing-thread.ts', import.meta.url));
  const { database } = store;
  const echo = { name: 'echo', query: z.object({ text: z.string() }), make: async () => new Uint8Array(0) };
  const acting = new Acting();
  acting.payer = 'greedy';
  const done: string[] = [];
  const note = (what: string) => () => void done.push(what);
  await runActing(acting, async () => {
    const questions = Array.from({ length: 65 }, () =>
      sql`select 1`.execute(database.readApart).then(note('question')),
    );
    // Now they wait in the line.
    await setImmediate();
    await database.documentApart(echo, { text: 'a' }).then(note('document'));
    await Promise.all(questions);
  });
  const before = done.indexOf('document');
  assert.ok(before < 32, `after ${before} of 65 questions`);
});

test('a store that closes ends the questions that wait', async () => {
  const store = await openStore();
  const questions = Array.from({ length: 5 }, () => sql`select 1`.execute(store.database.readApart));
  const answers = Promise.allSettled(questions);
  await store[Symbol.asyncDispose]();
  for (const { status } of await answers) assert.ok(['fulfilled', 'rejected'].includes(status));
  await assert.rejects(sql`select 1`.execute(store.database.readApart), /ended|destroyed/);
});
