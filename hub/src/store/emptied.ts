// A store that lost its content. SQLite takes an empty file for a new store: what it says then is about tables.
import { statSync } from 'node:fs';
import { HubError } from '../common/error.ts';

/** Throws `state-refused` for an empty file. A missing one is named where it is opened. */
export function assertNotEmptied(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.size !== 0) return;
  throw new HubError(
    'state-refused',
    `${path} is empty, as after a loss of power or a broken copy: restore a backup (docs/backup.md)`,
  );
}
