// The audit log's view of the store: entries in order, and the checkpoints that were signed.
import type { CheckpointStore, EntrySource } from './log-store.ts';
import type { Database } from '../store/database.ts';
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { parseNote } from '@edgekeep/core/audit/note';
import { entryCount } from '../store/entries.ts';
import { prepared } from '../store/prepared.ts';

export function entriesIn(database: Database): EntrySource {
  return {
    size: () => entryCount(database.read),
    read: async (from, toExclusive) => {
      const rows = await entriesBetween(database.read, { from, toExclusive });
      return rows.map((row) => ({ entry: row.entry, leafHash: row.leaf_hash }));
    },
  };
}

const entriesBetween = prepared<
  { from: number; toExclusive: number },
  { readonly entry: Uint8Array; readonly leaf_hash: Uint8Array }
>((db, value) =>
  db
    .selectFrom('audit_entry')
    .select(['entry', 'leaf_hash'])
    .where('log_index', '>=', value('from'))
    .where('log_index', '<', value('toExclusive'))
    .orderBy('log_index'),
);

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
        const [saved] = await checkpointOf(trx, { size });
        if (saved !== undefined && isSame(saved.note)) return saved.note;
        await keepCheckpoint(trx, { size, note });
        const [old] = await newestOfOld(trx, {});
        if (old !== undefined) await trx.deleteFrom('audit_checkpoint').where('size', '<=', old.size).execute();
        return note;
      });
    },
  };
}

const checkpointOf = prepared<{ size: number }, { readonly note: Uint8Array }>((db, value) =>
  db.selectFrom('audit_checkpoint').select('note').where('size', '=', value('size')),
);

const keepCheckpoint = prepared<{ size: number; note: Uint8Array }, never>((db, value) =>
  db
    .insertInto('audit_checkpoint')
    .values({ size: value('size'), note: value('note') })
    .onConflict((c) => c.column('size').doUpdateSet((q) => ({ note: q.ref('excluded.note') }))),
);

const newestOfOld = prepared<object, { readonly size: number }>((db) =>
  db.selectFrom('audit_checkpoint').select('size').orderBy('size', 'desc').offset(checkpointsKept).limit(1),
);
