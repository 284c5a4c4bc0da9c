// The store that `hub init` makes, where it is no file of the data folder: it must be empty, and what a run makes there has the id of the run.
import { CompiledQuery } from 'kysely';
import type { WriteTransaction } from '../store/database.ts';
import type { StorePlace } from '../store/engine/place.ts';

export interface NewStore {
  /** Throws `conflict` where something is there. */
  readonly assertEmpty: () => Promise<void>;
  /** Notes in the transaction that makes its tables whose they are. */
  readonly mark: (trx: WriteTransaction, id: string) => Promise<void>;
  /** Removes what the run with this id made. */
  readonly discard: (id: string) => Promise<void>;
}

export async function newStoreAt(place: StorePlace): Promise<NewStore> {
  if (typeof place === 'string') return inFolder;
  const { assertEmptyDatabase, discardDatabase, markStatement } = await import('../store/engine/postgres-new.ts');
  return {
    assertEmpty: () => assertEmptyDatabase(place),
    mark: async (trx, id) => {
      await trx.executeQuery(CompiledQuery.raw(markStatement(id)));
    },
    discard: (id) => discardDatabase(place, id),
  };
}

/** Its names are among those of the folder (unfinished-init.ts). */
const inFolder: NewStore = { assertEmpty: nothing, mark: nothing, discard: nothing };

async function nothing(): Promise<void> {}
