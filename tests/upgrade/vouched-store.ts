// A store that another version wrote, edited by a test: the log vouches for the rows as they are then, in the layout of that version.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { encodeEvent } from '@edgekeep/hub/audit/append';
import { parseLayout, rowDigest, stateContent, stateEvent, stateMark } from '@edgekeep/hub/audit/state-entry';
import { listState } from '@edgekeep/hub/audit/state-recorder';
import { openSecrets } from '@edgekeep/hub/secrets/open';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import { readRows, rowCondition, rowName, rowText } from '@edgekeep/hub/store/engine/row-watch';

/**
 * Runs `act` on the store of a stopped hub with plain keys. A store from before the log vouched for rows is only edited. `change` gives another
 * layout, as a version with another list of tables has.
 */
export async function editOldStore(
  folder: string,
  act: (store: DatabaseSync) => void,
  change: (layout: string) => string = (layout) => layout,
): Promise<void> {
  using store = new DatabaseSync(join(folder, 'hub.sqlite'));
  readRows(store);
  act(store);
  const has = store.prepare("select 1 from sqlite_schema where name = 'security_state'").get();
  const place = has === undefined ? undefined : store.prepare('select layout from security_state').get();
  if (place === undefined) return;
  const secrets = await openSecrets(folder, plainKeys(join(folder, 'keys')), async () => false);
  try {
    vouch(store, change(String(place['layout'])), secrets.keys.stateKey);
  } finally {
    await secrets[Symbol.asyncDispose]?.();
  }
}

function vouch(store: DatabaseSync, layout: string, key: Uint8Array): void {
  store.exec('BEGIN IMMEDIATE; DELETE FROM security_row');
  const insert = store.prepare('insert into security_row (table_name, digest, name) values (?, ?, ?)');
  const tables = new Map<string, ReturnType<typeof listState>>();
  for (const each of parseLayout(layout)) {
    const columns = `${rowName(each, 'r')} as name, ${rowText(each, 'r')} as text`;
    const rows = store.prepare(`select ${columns} from "${each.table}" r where ${rowCondition(each, 'r')}`).all();
    const digests = rows.map(({ name, text }) => {
      const digest = rowDigest(each.table, String(text));
      insert.run(each.table, digest, String(name));
      return digest;
    });
    tables.set(each.table, listState(digests.toSorted()));
  }
  const marked = store.prepare('select max(log_index) as at from audit_entry where instr(entry, ?) > 0').get(stateMark);
  const next = store.prepare('select max(log_index) + 1 as at from audit_entry').get();
  const [index, previous] = [Number(next?.['at']), Number(marked?.['at'])];
  const entry = encodeEvent(
    stateEvent(key, { index, previous, at: Date.now() }, stateContent('accepted', tables, layout)),
  );
  store
    .prepare('insert into audit_entry (log_index, entry, leaf_hash) values (?, ?, ?)')
    .run(index, entry, leafHash(entry));
  store.prepare('update security_state set log_index = ?, layout = ?').run(index, layout);
  store.exec('COMMIT');
}
