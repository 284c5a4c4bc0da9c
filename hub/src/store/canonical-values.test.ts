// Migrates a store from before values were canonical.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { Database } from './database.ts';
import { migrateTo } from './migrate.ts';
import { openSqlite } from './engine/sqlite.ts';
import type { Tables } from './schema.ts';
import { raiseDuplicateValues } from '../respond/stored-doubles.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-canonical-'));
});
after(() => rm(folder, { recursive: true }));

/** Opens a store whose rows were written before migration 0014 ran. */
async function openedWith(name: string, statements: readonly string[]): Promise<Database> {
  const path = join(folder, name);
  const before = openSqlite<Tables>(path, { mode: 'write' });
  await migrateTo(before, '0012-idevids');
  await before.destroy();
  {
    using store = new DatabaseSync(path);
    for (const statement of statements) store.exec(statement);
  }
  return Database.open(path);
}

test('networks and texts that are stored already get their one form, and a double that contradicts itself raises one alert', async () => {
  await using database = await openedWith('old.sqlite', [
    "insert into site (name, description, time_zone, networks, created_at) values ('graz', '', 'UTC', '2001:DB8::/32 2001:0db8::/32 10.0.0.0/8 nonsense', 1)",
    "insert into country_network values ('2001:db8::/32', 'AT'), ('2001:0db8::/32', 'DE'), ('2001:DB8::/32', 'CH'), ('2001:0DB9::/32', 'AT'), ('2001:db9::/32', 'AT'), ('10.0.0.0/8', 'AT')",
    "insert into device_tag values ('press-7', 'hall', 'Su\u0308d'), ('press-7', 'line', 'a\u202eb'), ('press-7', 'owner', 'ada'), ('press-8', 'hall', ' x ')",
    "insert into device_attribute (device_id, side, path, text_value) values ('press-7', 'reported', 'a', 'Su\u0308d')",
    `insert into enrolment_group (name, kind, description, terms, devices, created_at) values ('line', 'token', '', '{"tags":{"hall":"Su\u0308d\\u202e"}}', 0, 1)`,
  ]);
  const { read } = database;
  const site = await read.selectFrom('site').select('networks').executeTakeFirstOrThrow();
  assert.equal(site.networks, '2001:db8::/32 10.0.0.0/8 nonsense');
  const countries = await read.selectFrom('country_network').selectAll().orderBy('network').execute();
  assert.deepEqual(
    countries.map(({ network, country }) => `${network} ${country}`),
    ['10.0.0.0/8 AT', '2001:db8::/32 AT', '2001:db9::/32 AT'],
  );
  const tags = await read.selectFrom('device_tag').select('value').orderBy('device_id').orderBy('key').execute();
  assert.deepEqual(
    tags.map(({ value }) => value),
    ['Süd', 'a\ufffdb', 'ada', 'x'],
  );
  const attribute = await read.selectFrom('device_attribute').select('text_value').executeTakeFirstOrThrow();
  assert.equal(attribute.text_value, 'Süd');
  const { terms } = await read.selectFrom('enrolment_group').select('terms').executeTakeFirstOrThrow();
  assert.deepEqual(JSON.parse(terms), { tags: { hall: 'Süd\ufffd' } });

  await raiseDuplicateValues(database, 7);
  await raiseDuplicateValues(database, 8);
  const alerts = await read.selectFrom('alert').select(['kind', 'count', 'data']).execute();
  assert.equal(alerts.length, 1);
  const [alert] = alerts;
  assert.deepEqual([alert?.kind, alert?.count], ['values-alike', 1]);
  assert.match(
    alert?.data ?? '',
    /2001:0db8::\/32 DE, 2001:DB8::\/32 CH, 2001:db8::\/32 AT: AT was in force and stays/,
  );
});

test('a store without doubles raises nothing', async () => {
  await using database = await openedWith('clean.sqlite', ["insert into country_network values ('10.0.0.0/8', 'AT')"]);
  await raiseDuplicateValues(database, 7);
  assert.deepEqual(await database.read.selectFrom('alert').selectAll().execute(), []);
});
