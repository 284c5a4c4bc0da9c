// What happened, as the audit log has it (spec/events.md): entries in order, once a signed checkpoint covers them. What a checkpoint does not
// cover yet could still be missing from the log that others see.
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { type AuditEvent, parseAuditEntry } from '@edgekeep/core/audit/entry';
import { parseNote } from '@edgekeep/core/audit/note';
import type { Kysely } from 'kysely';
import type { Tables } from '../store/schema.ts';

/** An entry with its place in the log. */
export interface LogEvent extends AuditEvent {
  readonly index: number;
}

export interface EventBatch {
  /** Those of the wanted kinds. */
  readonly events: readonly LogEvent[];
  /** Where the next batch begins: every entry before it was looked at. */
  readonly next: number;
}

/** Entries that are looked at together: at most 2 MiB. */
const BATCH_ENTRIES_MAX = 256;

/** How many entries the newest signed checkpoint covers. */
export async function coveredSize(db: Kysely<Tables>): Promise<number> {
  const newest = await db.selectFrom('audit_checkpoint').select('note').orderBy('size', 'desc').limit(1).execute();
  const [row] = newest;
  return row === undefined ? 0 : parseCheckpoint(parseNote(row.note).text).size;
}

/** The batch that begins at `from`. Without `kinds`, every entry. */
export async function readBatch(
  db: Kysely<Tables>,
  { from, kinds }: { readonly from: number; readonly kinds?: readonly string[] | undefined },
): Promise<EventBatch> {
  const until = Math.min(await coveredSize(db), from + BATCH_ENTRIES_MAX);
  if (until <= from) return { events: [], next: from };
  const rows = await db
    .selectFrom('audit_entry')
    .select(['log_index', 'entry'])
    .where('log_index', '>=', from)
    .where('log_index', '<', until)
    .orderBy('log_index')
    .execute();
  const marks = kinds?.map((kind) => Buffer.from(`"kind":"${kind}"`));
  const events = rows
    // Most entries are of no interest, and to parse one takes much longer than to search it.
    .filter(({ entry }) => marks === undefined || marks.some((mark) => viewOf(entry).includes(mark)))
    .map(({ log_index: index, entry }) => ({ ...parseAuditEntry(entry), index }))
    .filter(({ kind }) => kinds === undefined || kinds.includes(kind));
  return { events, next: until };
}

/** When the entry at this place was made; undefined where there is none. */
export async function timeOf(db: Kysely<Tables>, index: number): Promise<number | undefined> {
  const row = await db.selectFrom('audit_entry').select('entry').where('log_index', '=', index).executeTakeFirst();
  return row === undefined ? undefined : parseAuditEntry(row.entry).at;
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
