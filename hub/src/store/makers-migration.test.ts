// Migrates tokens from before a token ended with its maker (migration 0015).
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { raiseTokenAlarms } from '../people/token-alarms.ts';
import { Database } from './database.ts';
import { migrateTo } from './migrate.ts';
import { openSqlite } from './engine/sqlite.ts';
import type { Tables } from './schema.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-makers-'));
});
after(() => rm(folder, { recursive: true }));

const dayMs = 86_400_000;
const now = Date.now();
const inDays = (days: number) => now + days * dayMs;

interface Old {
  readonly id: string;
  readonly name: string;
  readonly person?: string;
  readonly by: string;
  /** Days before today. */
  readonly made: number;
  /** Days from today. */
  readonly ends: number;
  readonly revoked?: true;
  readonly parent?: string;
}

/** The result for these tokens: maker, end in days, and whether it is valid, by their ids. */
async function broughtUp(t: { readonly name: string }, tokens: readonly Old[]) {
  const path = join(folder, `${t.name.slice(0, 40).replaceAll(/\W/g, '-')}.sqlite`);
  const old = openSqlite<Tables>(path, { mode: 'write' });
  await migrateTo(old, '0014-ima-log');
  await old.destroy();
  {
    using store = new DatabaseSync(path);
    for (const person of new Set(tokens.flatMap((each) => each.person ?? [])))
      store.prepare('insert into person (name, added_at) values (?, 1)').run(person);
    const insert = store.prepare(
      `insert into api_token (sha256, name, person, scopes, created_by, created_at, expires_at, revoked_at, derived_from)
       values (?, ?, ?, 'admin', ?, ?, ?, ?, ?)`,
    );
    for (const { id, name, person, by, made, ends, revoked, parent } of tokens)
      insert.run(id, name, person ?? null, by, inDays(-made), inDays(ends), revoked ? now : null, parent ?? null);
  }
  await using database = await Database.open(path);
  const rows = await database.read.selectFrom('api_token').selectAll().orderBy('sha256').execute();
  await raiseTokenAlarms(database, { bootstrapHours: 24, nowMs: now });
  const alerts = await database.read.selectFrom('alert').select(['kind', 'cause']).execute();
  return {
    tokens: rows.map(({ sha256, derived_from, expires_at, revoked_at }) => {
      const maker = derived_from ?? 'nobody';
      return `${sha256} of ${maker} ${(expires_at - now) / dayMs}${revoked_at === null ? '' : ' revoked'}`;
    }),
    alerts: alerts.map(({ kind, cause }) => `${kind} ${cause.slice(cause.lastIndexOf(' ') + 1)}`).toSorted(),
  };
}

const admin = { id: 'a', name: 'admin', person: 'admin', by: 'hub', made: 10, ends: 300 } as const;
const byAdmin = 'person:admin/admin';

// SECURITY.md: HUB-08
test('a token is the child of the one that made it, at any depth, and ends no later', async (t) => {
  const { tokens } = await broughtUp(t, [
    admin,
    { id: 'b', name: 'own', person: 'admin', by: byAdmin, made: 9, ends: 400 },
    { id: 'c', name: 'deep', person: 'admin', by: 'person:admin/own', made: 8, ends: 500 },
    { id: 'd', name: 'ci', by: 'person:admin/own', made: 7, ends: 200 },
  ]);
  assert.deepEqual(tokens, ['a of nobody 300', 'b of a 300', 'c of b 300', 'd of b 200']);
});

test('a token that was registered for somebody else is nobody’s child', async (t) => {
  const { tokens } = await broughtUp(t, [
    admin,
    { id: 'b', name: 'desk', person: 'ben', by: byAdmin, made: 9, ends: 400 },
  ]);
  assert.deepEqual(tokens, ['a of nobody 300', 'b of nobody 400']);
});

test('of several tokens of one name the maker is the newest that was there, and one that counted before one that did not', async (t) => {
  const own = { name: 'desk', person: 'ben', by: byAdmin, ends: 100 } as const;
  const { tokens } = await broughtUp(t, [
    { ...own, id: 'a', made: 30 },
    { ...own, id: 'b', made: 20 },
    { ...own, id: 'c', made: 15, revoked: true },
    { ...own, id: 'd', made: 5 },
    { ...own, id: 'e', made: 25, ends: -12 },
    { id: 'x', name: 'child', person: 'ben', by: 'person:ben/desk', made: 10, ends: 50 },
  ]);
  assert.ok(tokens.includes('x of b 50'), tokens.join('\n'));
});

test('what a revoked token made for its own person has ended', async (t) => {
  const { tokens } = await broughtUp(t, [
    { ...admin, revoked: true },
    { id: 'b', name: 'own', person: 'admin', by: byAdmin, made: 9, ends: 400 },
  ]);
  assert.deepEqual(tokens, ['a of nobody 300 revoked', 'b of a 300 revoked']);
});

for (const [how, ended] of [
  ['was revoked', { revoked: true }],
  ['had run out', { ends: -1 }],
] as const) {
  test(`a service whose maker ${how} lasts until it expires, with an alert`, async (t) => {
    const { tokens, alerts } = await broughtUp(t, [
      { ...admin, ...ended },
      { id: 'b', name: 'ci', by: byAdmin, made: 9, ends: 400 },
    ]);
    assert.equal(tokens[1], 'b of nobody 400');
    assert.ok(alerts.includes('service-token-orphaned b'), alerts.join('\n'));
  });
}

test('a service goes on whose maker ends only now, with a token that was revoked long ago', async (t) => {
  const { tokens } = await broughtUp(t, [
    { ...admin, revoked: true },
    { id: 'b', name: 'own', person: 'admin', by: byAdmin, made: 9, ends: 400 },
    { id: 'c', name: 'ci', by: 'person:admin/own', made: 8, ends: 400 },
  ]);
  assert.deepEqual(tokens.slice(1), ['b of a 300 revoked', 'c of nobody 400']);
});

test('the first token of a hub runs to its end with an alert, one from before there were people too; no other does', async (t) => {
  const before = { id: 'p', name: 'first', person: 'admin', by: '', made: 99, ends: 40 } as const;
  const others: readonly Old[] = [
    { id: 'b', name: 'own', person: 'admin', by: byAdmin, made: 9, ends: 40 },
    { id: 'q', name: 'second', person: 'admin', by: '', made: 98, ends: 40 },
  ];
  const { tokens, alerts } = await broughtUp(t, [admin, before, ...others]);
  assert.deepEqual(alerts, ['bootstrap-token a', 'bootstrap-token p']);
  assert.equal(tokens[0], 'a of nobody 300');
});
