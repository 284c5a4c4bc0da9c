// Copies of a store between SQLite and PostgreSQL: every value that a hub may store arrives, and a copy that differs in one is found.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { Client } from 'pg';
import { Database } from '../database.ts';
import { clientConfig } from '../engine/postgres-client.ts';
import type { PostgresPlace } from '../engine/postgres-place.ts';
import { serverPrograms } from '../testing-cluster.ts';
import { databaseOf, dropDatabase } from '../testing-place.ts';
import { compareRows } from './compare-rows.ts';
import { fillPostgres } from './fill-postgres.ts';
import { compareSqlite, fillSqlite, snapshotAsSqlite } from './fill-sqlite.ts';
import { snapshotPostgres } from './held-postgres.ts';
import { holdStore } from './held-store.ts';
import { sqliteSource } from './sqlite-end.ts';
import { logEndAt, markAt, type StoreMark } from '../store-mark.ts';
import { type Cell, shapesOf, type TableShape } from '../table-shape.ts';

const isRootInCi = process.env['CI'] === 'true' && process.getuid?.() === 0;
const missing = serverPrograms() === undefined && !isRootInCi ? 'PostgreSQL is not installed' : false;
const onServer = { skip: missing };

const mark: StoreMark = { state: 'incoming', move: 'a', other: null, entries: 0, newest: '', at: 1 };
const silent = () => undefined;

interface Stores {
  readonly folder: string;
  readonly file: string;
  readonly place: PostgresPlace;
}

/** A store with rows in every table, and an empty database. */
async function stores(t: TestContext): Promise<Stores> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-copy-'));
  const file = join(folder, 'hub.sqlite');
  const place = await databaseOf(folder);
  t.after(async () => {
    await dropDatabase(place);
    await rm(folder, { recursive: true });
  });
  {
    await using _ = await Database.open(file);
  }
  using store = new DatabaseSync(file, { enableForeignKeyConstraints: false });
  for (const shape of shapesOf(store)) {
    store.exec(`delete from "${shape.table}"`);
    for (const at of rowNumbers) insert(store, shape, at);
  }
  store.prepare('update policy set text = ? where version = 0').run(longText);
  store.prepare('update audit_entry set entry = ? where log_index = 0').run(Buffer.alloc(3_000_000, 7));
  return { folder, file, place };
}

const rowNumbers = [0, 1, 2, 3, 4] as const;
// The same in each table, so that what refers to another row finds it.
const texts = ['', 'ä€😀 \u0001\u{10FFFF}', "quote ' back \\ slash", 'c', 'b'];
const longText = 'x'.repeat(3_000_000);
// int4, where the column has no more.
const numbers = [0, -1, 2_147_483_647, 7, 8];
const larges = [0, -1, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 1e15];
const bytes = [
  new Uint8Array(0),
  Uint8Array.from({ length: 256 }, (_, at) => at),
  Buffer.alloc(2_000, 1),
  Buffer.from('a'),
  Buffer.from('b'),
];
const reals = [0, -0, 0.1 + 0.2, Number.MIN_VALUE, -1.7976931348623157e308];

function insert(store: DatabaseSync, { table, columns }: TableShape, at: number): void {
  const info = store.prepare('select name, "notnull", pk, lower(type) as type from pragma_table_info(?)').all(table);
  const kinds: Readonly<Record<TableShape['columns'][number]['kind'], Cell>> = {
    text: texts[at] ?? '',
    integer: larges[at] ?? 0,
    real: reals[at] ?? 0,
    bytes: bytes[at] ?? new Uint8Array(0),
  };
  const values = columns.map(({ name, kind }) => {
    const about = info.find((each) => each['name'] === name);
    if (at === 3 && about?.['notnull'] === 0 && about['pk'] === 0) return null;
    return about?.['type'] === 'integer' ? (numbers[at] ?? 0) : kinds[kind];
  });
  store.prepare(`insert into "${table}" values (${columns.map(() => '?').join(', ')})`).run(...values);
}

function shapesIn(file: string): readonly TableShape[] {
  using store = new DatabaseSync(file, { readOnly: true });
  return shapesOf(store);
}

async function fill({ file, place }: Stores): Promise<void> {
  await using held = await holdStore(file);
  await fillPostgres(place, { source: held.source, shapes: shapesIn(file), mark, progress: silent });
}

async function compared({ file, place }: Stores) {
  using store = new DatabaseSync(file, { readOnly: true });
  await using copy = await snapshotPostgres(place);
  return await compareRows(sqliteSource(store), copy.source, { shapes: shapesIn(file), progress: silent });
}

async function ask(place: PostgresPlace, sql: string): Promise<void> {
  const client = new Client(clientConfig(place, 'write'));
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

test('every value at its limits arrives in PostgreSQL, and comes back as it was', onServer, async (t) => {
  const given = await stores(t);
  await fill(given);
  const there = await compared(given);
  const { length } = shapesIn(given.file);
  assert.deepEqual([there.tables, there.rows], [length, length * rowNumbers.length]);
  assert.ok(length > 60);
  const back = join(given.folder, 'back.sqlite');
  await using copy = await snapshotPostgres(given.place);
  const shapes = await fillSqlite(back, { source: copy.source, mark: undefined, progress: silent });
  assert.deepEqual(await compareSqlite(back, copy.source, { shapes, progress: silent }), there);
});

// SECURITY.md: HUB-182
test(
  'a row that differs in the copy, is missing or is one too many is found by its table and name',
  onServer,
  async (t) => {
    const given = await stores(t);
    const planted: readonly (readonly [string, RegExp])[] = [
      [`update site set latitude = 1 where name = 'b'`, /row "b" of site has another content/],
      [
        `update audit_entry set entry = '\\x6162' where log_index = 1000000000000000`,
        /row "1000000000000000" of audit_entry has another/,
      ],
      [`update person set disabled_reason = null where name = 'b'`, /row "b" of person has another content/],
      [`update person set disabled_reason = '' where disabled_reason is null`, /of person has another content/],
      [`delete from country_network where network = 'b'`, /row "b" of country_network is not in the copy/],
      [`insert into country_network values ('ö', 'zz')`, /row "ö" of country_network is in the copy alone/],
    ];
    for (const [sql, message] of planted) {
      await fill(given);
      await compared(given);
      await ask(given.place, sql);
      await assert.rejects(compared(given), { code: 'move-refused', message }, sql);
    }
  },
);

test(
  'a database that is not empty is left as it is, a copy that never got into use is replaced',
  onServer,
  async (t) => {
    const given = await stores(t);
    await ask(given.place, 'create table ledger (n int); insert into ledger values (1)');
    await assert.rejects(fill(given), { code: 'move-refused', message: /is not empty \(ledger …\)/ });
    await ask(given.place, 'drop table ledger');
    await fill(given);
    await ask(given.place, 'delete from site');
    await fill(given);
    await compared(given);
    await ask(given.place, `update store_move set state = 'moved'`);
    await assert.rejects(fill(given), { code: 'move-refused', message: /is not empty/ });
    await ask(given.place, 'delete from store_move');
    await assert.rejects(fill(given), { code: 'move-refused', message: /is not empty/ });
    await ask(given.place, 'delete from hub_time');
  },
);

test('what PostgreSQL or this program cannot hold is named before anything is left there', onServer, async (t) => {
  const given = await stores(t);
  const broken: readonly (readonly [string, RegExp])[] = [
    [`update site set description = 'a' || char(0) where name = 'b'`, /U\+0000, and the row "b" of site has one/],
    ['update hub_time set seen_at = 9007199254740992 where seen_at = 0', /hub_time holds a number above 2\^53 - 1/],
    [
      `update security_state set id = 2147483648 where id = 8`,
      /PostgreSQL cannot store a row of security_state: .*out of range/,
    ],
  ];
  for (const [sql, message] of broken) {
    const file = join(given.folder, 'broken.sqlite');
    {
      using store = new DatabaseSync(given.file);
      store.exec(`vacuum into '${file}'`);
    }
    {
      using store = new DatabaseSync(file);
      store.exec(sql);
    }
    await assert.rejects(fill({ ...given, file }), message, sql);
    assert.equal(await markAt(given.place), undefined);
    await rm(file);
  }
});

test('nobody writes into a store while it is held, and it changes hands with its mark', onServer, async (t) => {
  const given = await stores(t);
  {
    await using held = await holdStore(given.file);
    using other = new DatabaseSync(given.file);
    other.exec('delete from hub_time');
    await assert.rejects(
      held.markMoved({ ...mark, state: 'moved' }, async () => assert.fail('named')),
      {
        code: 'move-refused',
        message: /something wrote into the store/,
      },
    );
  }
  assert.equal(await markAt(given.file), undefined);
  for (const place of [given.file, given.place]) {
    if (place === given.place) {
      await ask(given.place, 'drop table if exists nothing');
      await fill(given);
      await ask(given.place, 'delete from store_move');
    }
    {
      await using held = await holdStore(place);
      await assert.rejects(
        held.markMoved({ ...mark, state: 'moved' }, () => Promise.reject(new Error('no disk'))),
        /no disk/,
      );
    }
    assert.equal(await markAt(place), undefined);
    if (place === given.file) continue;
    await using held = await holdStore(place);
    await held.markMoved({ ...mark, state: 'moved' }, async () => undefined);
    assert.equal((await markAt(place))?.state, 'moved');
    await assert.rejects(Database.open(place), { code: 'store-moved' });
  }
});

// SECURITY.md: HUB-181
test('a hub that was cut off and comes back writes nothing into a database that was left', onServer, async (t) => {
  const given = await stores(t);
  {
    await using database = await Database.open(given.place);
    await database.write((trx) => trx.deleteFrom('hub_time').execute());
    await assert.rejects(holdStore(given.place), { code: 'move-refused', message: /is in use by edgekeep-hub/ });
  }
  {
    await using held = await holdStore(given.place);
    await held.markMoved({ ...mark, state: 'moved' }, async () => undefined);
  }
  const entry = "insert into audit_entry values (0, '\\x00', '\\x00')";
  await assert.rejects(ask(given.place, entry), /the hub of this store was moved/);
});

test(
  'a snapshot of a database that a hub writes into is one state, and where its log ends is read',
  onServer,
  async (t) => {
    const given = await stores(t);
    await fill(given);
    await ask(given.place, 'delete from store_move');
    const file = join(given.folder, 'snapshot.sqlite');
    {
      await using taken = await snapshotPostgres(given.place);
      await ask(given.place, 'delete from audit_entry where log_index < 1000; delete from site');
      await snapshotAsSqlite(file, taken.source);
    }
    using store = new DatabaseSync(file, { readOnly: true });
    assert.equal(store.prepare('select count(*) as n from audit_entry').get()?.['n'], rowNumbers.length);
    assert.equal(store.prepare('select count(*) as n from site').get()?.['n'], rowNumbers.length);
    assert.equal((await logEndAt(file)).entries, Number.MAX_SAFE_INTEGER + 1);
  },
);
