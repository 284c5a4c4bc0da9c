import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { Database } from './database.ts';
import { tableList } from './security-tables.ts';

let folder: string;
let store: DatabaseSync;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-tables-'));
  {
    await using _ = await Database.open(join(folder, 'hub.sqlite'));
  }
  store = new DatabaseSync(join(folder, 'hub.sqlite'), { readOnly: true });
});
after(async () => {
  store.close();
  await rm(folder, { recursive: true });
});

const named = z.object({ name: z.string() });
const column = z.object({ name: z.string(), pk: z.number() });
const names = (text: string) =>
  store
    .prepare(text)
    .all()
    .map((row) => named.parse(row).name);

test('every table of the store is in the list: the log vouches for its rows, or the list says why not', () => {
  const all = names("select name from sqlite_schema where type = 'table' and name not like 'kysely%' order by name");
  const listed = [...tableList.replayed.map(({ table }) => table), ...Object.keys(tableList.others)];
  assert.deepEqual(listed.toSorted(), all);
  assert.equal(new Set(listed).size, listed.length);
});

test('the page names every table under what the log does with it', async () => {
  const page = await readFile(new URL('../../../docs/design/security-state.md', import.meta.url), 'utf8');
  const [, vouched = '', others = ''] = /## Every table\n(.*?)\| not \|(.*?)\n## /s.exec(page) ?? [];
  const missing = [
    ...tableList.replayed.map(({ table }) => table).filter((table) => !vouched.includes(`\`${table}\``)),
    ...Object.keys(tableList.others).filter((table) => !others.includes(`\`${table}\``)),
  ];
  assert.deepEqual(missing, []);
});

test('the listed columns exist, and begin with those of the primary key', () => {
  for (const { table, columns } of tableList.replayed) {
    const found = store
      .prepare('select name, pk from pragma_table_info(?)')
      .all(table)
      .map((row) => column.parse(row));
    const known = found.map(({ name }) => name);
    assert.deepEqual(
      columns.filter((name) => !known.includes(name)),
      [],
      table,
    );
    const key = found.filter(({ pk }) => pk > 0).map(({ name }) => name);
    assert.deepEqual(columns.slice(0, key.length).toSorted(), key.toSorted(), table);
  }
});

// A column that is left out is one that nobody gains by changing.
const leftOut: Readonly<Record<string, readonly string[]>> = {
  api_token: ['last_used_at', 'last_used_from'],
  certificate: ['der'],
  device: [
    'seen_at',
    'reset_count',
    'appraisal',
    'appraised_at',
    'counts',
    'attestation',
    'booted',
    'bound_address',
    'bound_at',
    'bound_serial',
    'clock_skew_seconds',
    'guard',
    'tier_vouched',
  ],
  revocation_state: ['crl_number'],
};

test('a column that the log does not vouch for is one of those that are named here', () => {
  for (const { table, columns } of tableList.replayed) {
    const all = names(`select name from pragma_table_info('${table}')`);
    assert.deepEqual(
      all.filter((name) => !columns.includes(name)).toSorted(),
      [...(leftOut[table] ?? [])].toSorted(),
      table,
    );
  }
});

test('columns of floating-point numbers are listed as such: their digest does not depend on how SQLite prints them', () => {
  for (const { table, columns, reals = [] } of tableList.replayed) {
    const found = names(
      `select name from pragma_table_info('${table}') where type like '%doub%' or type like '%real%'`,
    );
    assert.deepEqual(found.filter((name) => columns.includes(name)).toSorted(), [...reals].toSorted(), table);
  }
});
