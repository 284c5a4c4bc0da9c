// A store as a test needs it, with the list of rows and the log in agreement: what a hub of another time or another node would have left.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openRecorded } from '@edgekeep/hub/audit/security-state';
import { hasStateEntries } from '@edgekeep/hub/audit/state-check';
import { rowDigest } from '@edgekeep/hub/audit/state-entry';
import type { KeyStore } from '@edgekeep/hub/secrets/key-store';
import { openSecrets } from '@edgekeep/hub/secrets/open';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import { readRows, rowCondition, rowName, rowText } from '@edgekeep/hub/store/engine/row-watch';
import { tableList } from '@edgekeep/hub/store/security-tables';

/**
 * Writes into the store of a running hub, and lists the rows as they are then: the hub takes the edited ones for its own until the next check or start.
 */
export function editStore<T>(file: string, act: (store: DatabaseSync) => T): T {
  using store = new DatabaseSync(file);
  store.exec('PRAGMA busy_timeout = 60000');
  readRows(store);
  const result = act(store);
  store.exec('BEGIN IMMEDIATE; DELETE FROM security_row');
  const insert = store.prepare('insert into security_row values (?, ?, ?)');
  for (const each of tableList.replayed) {
    const columns = `${rowName(each, 'r')} as name, ${rowText(each, 'r')} as text`;
    const rows = store.prepare(`select ${columns} from "${each.table}" r where ${rowCondition(each, 'r')}`).all();
    for (const { name, text } of rows) insert.run(each.table, rowDigest(each.table, String(text)), String(name));
  }
  store.exec('COMMIT');
  return result;
}

/** Has the log of a stopped hub vouch for the rows as they are. */
export async function adoptStore(folder: string, keyStore: KeyStore = plainKeys(join(folder, 'keys'))): Promise<void> {
  const place = join(folder, 'hub.sqlite');
  await using opened = new AsyncDisposableStack();
  const { keys, [Symbol.asyncDispose]: close } = await openSecrets(folder, keyStore, () => hasStateEntries(place));
  opened.defer(async () => close?.());
  await using _ = await openRecorded({ place, key: keys.stateKey, verdict: { kind: 'none' } }, Date.now);
}
