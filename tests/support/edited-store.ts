// A store as a test needs it, with the list of rows and the log in agreement: what a hub of another time or another node would have left.
import { join } from 'node:path';
import { openRecorded } from '@edgekeep/hub/audit/security-state';
import { hasStateEntries } from '@edgekeep/hub/audit/state-check';
import { rowDigest } from '@edgekeep/hub/audit/state-entry';
import type { KeyStore } from '@edgekeep/hub/secrets/key-store';
import { openSecrets } from '@edgekeep/hub/secrets/open';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import type { Parameter } from '@edgekeep/hub/store/engine/parameter';
import type { StorePlace } from '@edgekeep/hub/store/engine/place';
import type { PostgresPlace } from '@edgekeep/hub/store/engine/postgres-place';
import * as onPostgres from '@edgekeep/hub/store/engine/postgres-watch';
import * as onSqlite from '@edgekeep/hub/store/engine/row-watch';
import { readRows, type WatchedTable } from '@edgekeep/hub/store/engine/row-watch';
import { tableList } from '@edgekeep/hub/store/security-tables';
import { inDatabase, inFile, type OutsideStore, storeIn, storeOn } from './outside-store.ts';

type Act<T> = (store: OutsideStore) => Promise<T>;

/**
 * Writes into the store of a running hub, and lists the rows as they are then: the hub takes the edited ones for its own until the next check or start.
 */
export async function editStore<T>(place: StorePlace, act: Act<T>): Promise<T> {
  return typeof place === 'string' ? editFile(place, act) : editDatabase(place, act);
}

/** `editStore` for one statement that changes rows. */
export async function changeStore(place: StorePlace, sql: string, ...values: readonly Parameter[]): Promise<number> {
  return editStore(place, (store) => store.run(sql, ...values));
}

async function editFile<T>(path: string, act: Act<T>): Promise<T> {
  return inFile(path, async (file) => {
    readRows(file);
    const store = storeIn(file);
    const result = await act(store);
    file.exec('BEGIN IMMEDIATE');
    await listRows(store, (each) => [
      onSqlite.rowName(each, 'r'),
      onSqlite.rowText(each, 'r'),
      onSqlite.rowCondition(each, 'r'),
    ]);
    file.exec('COMMIT');
    return result;
  });
}

async function editDatabase<T>(place: PostgresPlace, act: Act<T>): Promise<T> {
  return inDatabase(place, async (client) => {
    const store = storeOn(client);
    const typeOf = await onPostgres.columnTypes(async (text) => (await client.query<never>(text)).rows);
    await client.query('begin');
    // A hub waits until the list is whole.
    await client.query('select 1 from engine.head for update');
    const result = await act(store);
    await listRows(store, (each) => [
      onPostgres.rowName(each, 'r'),
      onPostgres.rowText(each, 'r', typeOf),
      onPostgres.rowCondition(each, 'r'),
    ]);
    await client.query('commit');
    return result;
  });
}

/** `expressionsOf` gives name, text and condition of the row `r` of a table, in the SQL of the engine. */
async function listRows(
  store: OutsideStore,
  expressionsOf: (each: WatchedTable) => readonly [name: string, text: string, condition: string],
): Promise<void> {
  await store.run('delete from security_row');
  for (const each of tableList.replayed) {
    const [name, text, condition] = expressionsOf(each);
    const rows = await store.rows(`select ${name} as name, ${text} as text from "${each.table}" r where ${condition}`);
    for (const row of rows)
      await store.run(
        'insert into security_row (table_name, digest, name) values (?, ?, ?)',
        each.table,
        rowDigest(each.table, String(row['text'])),
        String(row['name']),
      );
  }
}

/** Has the log of a stopped hub vouch for the rows as they are. */
export async function adoptStore(
  { hubFolder, place }: { readonly hubFolder: string; readonly place: StorePlace },
  keyStore: KeyStore = plainKeys(join(hubFolder, 'keys')),
): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const { keys, [Symbol.asyncDispose]: close } = await openSecrets(hubFolder, keyStore, () => hasStateEntries(place));
  opened.defer(async () => close?.());
  await using _ = await openRecorded({ place, key: keys.stateKey, verdict: { kind: 'none' } }, Date.now);
}
