// A store that a move copies: nobody can write into it until the move has ended, and it changes hands with one commit.
import { DatabaseSync } from 'node:sqlite';
import { HubError } from '../../common/error.ts';
import type { StorePlace } from '../engine/place.ts';
import type { CopySource, HeldStore } from './copy-end.ts';
import { sqliteSource, sqliteTarget } from './sqlite-end.ts';
import { markRow, markShape, type StoreMark } from '../store-mark.ts';

/** Throws `move-refused` where a hub has the store open. */
export async function holdStore(place: StorePlace): Promise<HeldStore> {
  if (typeof place === 'string') return new HeldSqlite(place);
  const { holdPostgres } = await import('./held-postgres.ts');
  return holdPostgres(place);
}

// SQLITE_BUSY, and the one for a reader that wants to write after somebody else wrote.
const busyCodes: ReadonlySet<unknown> = new Set([5, 517]);

class HeldSqlite implements HeldStore {
  readonly source: CopySource;
  readonly #store: DatabaseSync;

  constructor(path: string) {
    this.#store = new DatabaseSync(path, { timeout: 5_000 });
    this.#store.exec('PRAGMA synchronous=FULL; BEGIN');
    // The first read fixes what this transaction sees.
    this.#store.prepare('select count(*) from sqlite_schema').get();
    this.source = sqliteSource(this.#store);
  }

  async markMoved(mark: StoreMark, between: () => Promise<void>): Promise<void> {
    const target = sqliteTarget(this.#store);
    try {
      await target.clear(markShape.table);
      await target.insert(markShape, markRow(mark));
    } catch (cause) {
      if (!(cause instanceof Error && 'errcode' in cause && busyCodes.has(cause.errcode))) throw cause;
      throw new HubError('move-refused', 'something wrote into the store while it was copied: end it, and try again', {
        cause,
      });
    }
    await between();
    this.#store.exec('COMMIT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Closing undoes what is not committed.
    this.#store.close();
  }
}
