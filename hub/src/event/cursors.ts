// Where each consumer of the audit log is (spec/events.md). A cursor moves in one transaction with what its consumer wrote, and only from where
// the consumer read: a node that lost the lead while it worked moves nothing.
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { EventCursorRow } from '../store/tables/event.ts';
import { coveredSize } from './events.ts';

export async function findCursor(db: Kysely<Tables>, name: string): Promise<EventCursorRow | undefined> {
  return db.selectFrom('event_cursor').selectAll().where('name', '=', name).executeTakeFirst();
}

export async function listCursors(db: Kysely<Tables>): Promise<readonly EventCursorRow[]> {
  return db.selectFrom('event_cursor').selectAll().orderBy('name').execute();
}

/** Puts a cursor at `position`, unless there is one of this name. */
export async function openCursor(
  trx: WriteTransaction,
  { name, position, nowMs }: { readonly name: string; readonly position: number; readonly nowMs: number },
): Promise<void> {
  const row = { name, position, moved_at: nowMs, failures: 0, problem: null, next_at: null };
  await trx
    .insertInto('event_cursor')
    .values(row)
    .onConflict((c) => c.column('name').doNothing())
    .execute();
}

interface Move {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly nowMs: number;
}

/** False when the cursor is not at `from` any more: another node, or a person, moved it. */
export async function moveCursor(trx: WriteTransaction, { name, from, to, nowMs }: Move): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('event_cursor')
    .set({ position: to, moved_at: nowMs, failures: 0, problem: null, next_at: null })
    .where('name', '=', name)
    .where('position', '=', from)
    .executeTakeFirst();
  return Number(numUpdatedRows) === 1;
}

/** Records that the batch at `position` failed, and when it is tried again. */
export async function noteFailure(
  trx: WriteTransaction,
  failed: { readonly name: string; readonly position: number; readonly problem: string; readonly nextAt: number },
): Promise<void> {
  await trx
    .updateTable('event_cursor')
    .set((q) => ({ failures: q('failures', '+', 1), problem: failed.problem, next_at: failed.nextAt }))
    .where('name', '=', failed.name)
    .where('position', '=', failed.position)
    .execute();
}

export interface CursorReset {
  readonly name: string;
  /** Null: behind the last entry, so that what the consumer has not handled yet is skipped. */
  readonly position: number | null;
  readonly reason: string;
  readonly actor: string;
  readonly nowMs: number;
}

/** Moves a cursor as a person orders: back to repeat, or forward to skip. Throws `not-found`, `request-invalid`. */
export async function resetCursor(database: Database, reset: CursorReset): Promise<EventCursorRow> {
  const { name, reason, actor, nowMs } = reset;
  return database.write(async (trx) => {
    const before = await findCursor(trx, name);
    if (before === undefined)
      throw new HubError('not-found', `no cursor ${name}: \`edgekeep event cursors\` shows all`);
    const size = await coveredSize(trx);
    const position = reset.position ?? size;
    if (position > size)
      throw new HubError('request-invalid', `the log has ${size} entries: a cursor cannot be at ${position}`);
    const data = { from: before.position, to: position, reason };
    await appendEntry(trx, { at: nowMs, kind: 'event-cursor-reset', actor, subject: `cursor:${name}`, data });
    const changed = { position, moved_at: nowMs, failures: 0, problem: null, next_at: null };
    await trx.updateTable('event_cursor').set(changed).where('name', '=', name).execute();
    return { ...before, ...changed };
  });
}
