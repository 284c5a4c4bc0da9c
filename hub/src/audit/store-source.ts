// The audit log's view of the store: entries in order, and the checkpoints that were signed.
import type { CheckpointStore, EntrySource } from './log.ts';
import type { Database } from '../store/database.ts';
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
    save: async (note) => {
      const { size } = parseCheckpoint(parseNote(note).text);
      await database.writeAsHub(async (trx) => {
        await trx
          .insertInto('audit_checkpoint')
          .values({ size, note })
          .onConflict((c) => c.column('size').doUpdateSet({ note }))
          .execute();
        const old = await trx
          .selectFrom('audit_checkpoint')
          .select('size')
          .orderBy('size', 'desc')
          .offset(checkpointsKept)
          .limit(1)
          .executeTakeFirst();
        if (old !== undefined) await trx.deleteFrom('audit_checkpoint').where('size', '<=', old.size).execute();
      });
    },
  };
}
