// `hub init` on a database leaves a whole hub there or nothing, and touches nothing of others.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { parseHubSettings } from '../settings.ts';
import { clientConfig } from '../store/engine/postgres-client.ts';
import type { PostgresPlace } from '../store/engine/postgres-place.ts';
import { databaseOf, dropDatabase } from '../store/testing-place.ts';
import { onServer } from '../store/testing-server.ts';
import { initHub } from './init.ts';

let folder: string;
let place: PostgresPlace;

before(async () => {
  if (onServer.skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-init-'));
  place = await databaseOf(folder);
});
after(async () => {
  if (onServer.skip !== false) return;
  await dropDatabase(place);
  await rm(folder, { recursive: true });
});

function init(name: string, policyText?: string) {
  const url = `postgres://${place.user}@/${place.database}?host=${place.host}`;
  const settings = parseHubSettings({ store: { url } }, 'test settings');
  const data = join(folder, name);
  return initHub(data, { rootFolder: join(data, 'root'), settings, nowMs: 1_800_000_000_000, policyText });
}

async function inDatabase(sql: string): Promise<readonly { readonly value: unknown }[]> {
  const client = new Client(clientConfig(place, 'write'));
  await client.connect();
  try {
    return (await client.query<{ value: unknown }>(sql)).rows;
  } finally {
    await client.end();
  }
}

const tables = async () =>
  inDatabase("select tablename as value from pg_tables where schemaname in ('public', 'engine')");

test('a database that holds something is refused, and what is there stays', onServer, async () => {
  await inDatabase('create table theirs (id integer)');
  await assert.rejects(init('first'), {
    code: 'conflict',
    message: /such as theirs: give the hub an empty database of its own$/,
  });
  assert.deepEqual(await tables(), [{ value: 'theirs' }]);
  await inDatabase('drop table theirs');
});

test('a run that fails leaves nothing in the database', onServer, async () => {
  await assert.rejects(init('first', 'no policy'));
  assert.deepEqual(await tables(), []);
});

test('what a killed run left is removed by the next one in its folder, and by no other', onServer, async () => {
  await init('first');
  const [marked] = await inDatabase("select obj_description('engine'::regnamespace, 'pg_namespace') as value");
  const id = /[0-9a-f]{32}$/.exec(String(marked?.value))?.[0];
  // As after a kill before the settings were written.
  await rm(join(folder, 'first', 'hub.json'));
  const note = { type: 'edgekeep-hub-init/v1', id, elsewhere: [], folders: [] };
  await writeFile(join(folder, 'first', 'hub-init-unfinished.json'), JSON.stringify(note));
  await assert.rejects(init('second'), { code: 'conflict' });
  await rm(join(folder, 'first', 'root'), { recursive: true });
  await init('first');
  assert.ok((await tables()).length > 40);
});
