// A store that lost its content. SQLite takes an empty file for a new store: what it says then is about tables. A database without tables would become
// a new store.
import { statSync } from 'node:fs';
import { HubError } from '../common/error.ts';
import { openReader, type StorePlace } from './engine/place.ts';
import { postgresText } from './engine/postgres-place.ts';
import { rowSqlOf } from './engine/row-sql.ts';
import type { Tables } from './schema.ts';

/** Throws `state-refused` for an empty file or database. A missing one is named where it is opened. */
export async function assertNotEmptied(place: StorePlace): Promise<void> {
  const next = 'restore a backup (docs/backup.md)';
  if (typeof place === 'string') {
    if (statSync(place, { throwIfNoEntry: false })?.size !== 0) return;
    throw new HubError('state-refused', `${place} is empty, as after a loss of power or a broken copy: ${next}`);
  }
  await using reader = await openReader<Tables>(place);
  if (await rowSqlOf(reader).hasTable(reader, 'audit_entry')) return;
  throw new HubError(
    'state-refused',
    `${postgresText(place)} has no tables of a hub: is it the right one? If it lost them, ${next}`,
  );
}
