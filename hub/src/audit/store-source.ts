// The audit log's view of the store: entries in order, and the checkpoints that were signed.
import type { CheckpointStore, EntrySource } from './log-store.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { parseNote } from '@edgekeep/core/audit/note';

export function entriesIn(database: Database): EntrySource {
  return {
    size: async () => {
      const row = await database.read
        .selectFrom('audit_entry')
        .select((q) => q.fn.max('log_index').as('last'))
        .executeTakeFirst();
      return row === undefined || row.last === null ? 0 : row.last + 1;
    },
    read: async (from, toExclusive) => {
      const rows = await database.read
        .selectFrom('audit_entry')
        .select(['entry', 'leaf_hash'])
        .where('log_index', '>=', from)
        .where('log_index', '<', toExclusive)
        .orderBy('log_index')
        .execute();
      return rows.map((row) => ({ entry: row.entry, leafHash: row.leaf_hash }));
    },
  };
}

// Signed checkpoints are kept for a while, so that a contradiction can be investigated; this number is ample.
const checkpointsKept = 1_000;

export function checkpointsIn(database: Database): CheckpointStore {
  return {
    latest: async () => {
      const row = await database.read
        .selectFrom('audit_checkpoint')
        .select('note')
        .orderBy('size', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row?.note;
    },
    save: async (note, isSame) => {
      const { size } = parseCheckpoint(parseNote(note).text);
      return database.writeAsHub(async (trx) => {
        const saved = await insertOrFind(trx, { size, note });
        if (saved !== undefined && isSame(saved)) return saved;
        if (saved !== undefined)
          await trx.updateTable('audit_checkpoint').set({ note }).where('size', '=', size).execute();
        const old = await trx
          .selectFrom('audit_checkpoint')
          .select('size')
          .orderBy('size', 'desc')
          .offset(checkpointsKept)
          .limit(1)
          .executeTakeFirst();
        if (old !== undefined) await trx.deleteFrom('audit_checkpoint').where('size', '<=', old.size).execute();
        return note;
      });
    },
  };
}

/** The note of this size that is there already. */
async function insertOrFind(
  trx: WriteTransaction,
  { size, note }: { readonly size: number; readonly note: Uint8Array },
): Promise<Uint8Array | undefined> {
  const { numInsertedOrUpdatedRows = 0n } = await trx
    .insertInto('audit_checkpoint')
    .values({ size, note })
    .onConflict((c) => c.column('size').doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows > 0n) return undefined;
  return (await trx.selectFrom('audit_checkpoint').select('note').where('size', '=', size).executeTakeFirstOrThrow())
    .note;
}
