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
import { changeIn, listen } from '@edgekeep/hub/store/engine/postgres-watch';
import { type RowChange, readRows, rowCondition, rowName, rowText } from '@edgekeep/hub/store/engine/row-watch';
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
    const result = await act(storeIn(file));
    file.exec('BEGIN IMMEDIATE; DELETE FROM security_row');
    const insert = file.prepare('insert into security_row values (?, ?, ?)');
    for (const each of tableList.replayed) {
      const columns = `${rowName(each, 'r')} as name, ${rowText(each, 'r')} as text`;
      const rows = file.prepare(`select ${columns} from "${each.table}" r where ${rowCondition(each, 'r')}`).all();
      for (const { name, text } of rows) insert.run(each.table, rowDigest(each.table, String(text)), String(name));
    }
    file.exec('COMMIT');
    return result;
  });
}

/** The triggers of the hub report the changes to this connection, as to the hub's own. */
async function editDatabase<T>(place: PostgresPlace, act: Act<T>): Promise<T> {
  return inDatabase(place, async (client) => {
    const changes: RowChange[] = [];
    client.on('notice', (notice) => {
      const change = changeIn(notice);
      if (change !== undefined) changes.push(change);
    });
    await client.query(listen);
    await client.query('begin');
    // A hub waits until the list is whole.
    await client.query('select 1 from engine.head for update');
    const store = storeOn(client);
    const result = await act(store);
    for (const { table, name, before, after } of changes) {
      if (before !== null)
        await store.run(
          'delete from security_row where table_name = ? and digest = ?',
          table,
          rowDigest(table, before),
        );
      if (after !== null)
        await store.run('insert into security_row values (?, ?, ?)', table, rowDigest(table, after), name);
    }
    await client.query('commit');
    return result;
  });
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
