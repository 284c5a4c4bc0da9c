// Adds an entry to the audit log in the transaction of the change that it describes: the change and its record are durable together or not
// at all. The tree over the entries is built from this table later (log.ts).
import { type AuditEvent, auditSaltLength, encodeAuditEntry, saltedEntry } from '@edgekeep/core/audit/entry';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { equalBytes } from '@edgekeep/core/bytes';
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { HubError } from '../common/error.ts';
import type { WriteTransaction } from '../store/database.ts';
import { numberedRowsOf } from '../store/engine/numbered-rows.ts';
import { noteEntry } from '../store/entries.ts';
import { prepared } from '../store/prepared.ts';

/** Returns the entry's index in the log. */
export async function appendEntry(trx: WriteTransaction, event: AuditEvent): Promise<number> {
  return appendEncodedEntry(trx, encodeEvent(event));
}

/** The bytes of a new entry, with a salt: its leaf hash is public, its content is not. */
export function encodeEvent(event: AuditEvent): Uint8Array {
  return encodeAuditEntry(saltedEntry(event, randomBytes(auditSaltLength)));
}

/**
 * The same for a device of the previous version, which cannot read salted entries and verifies this one in its receipt. Only for events
 * that contain as many random digits themselves.
 */
export function encodeUnsaltedEvent(event: AuditEvent): Uint8Array {
  return encodeAuditEntry({ type: 'edgekeep-audit-entry/v1', ...event });
}

/** As `appendEntry`, for a caller that needs the bytes of `encodeEvent`. */
export async function appendEncodedEntry(trx: WriteTransaction, entry: Uint8Array): Promise<number> {
  const leaf = leafHash(entry);
  const counted = numberedRowsOf(trx);
  if (counted !== undefined) {
    const index = await counted.append([entry, leaf]);
    noteEntry(trx);
    return index;
  }
  const [row] = await insertEntry(trx, { entry, leafHash: leaf });
  if (row === undefined) throw new HubError('store-failed', 'the store took an entry of the log and gave it no number');
  noteEntry(trx);
  return row.log_index;
}

const insertEntry = prepared<{ entry: Uint8Array; leafHash: Uint8Array }, { log_index: number }>((db, value) =>
  db
    .insertInto('audit_entry')
    .values((q) => ({
      log_index: q.selectFrom('audit_entry').select(sql<number>`coalesce(max(log_index) + 1, 0)`.as('next')),
      entry: value('entry'),
      leaf_hash: value('leafHash'),
    }))
    .returning('log_index'),
);

/** Whether the log has this entry at this index: the transaction that appended it was committed, or is this one. */
export async function hasEntry(
  trx: WriteTransaction,
  { index, leafHash: expected }: { readonly index: number; readonly leafHash: Uint8Array },
): Promise<boolean> {
  const row = await trx.selectFrom('audit_entry').select('leaf_hash').where('log_index', '=', index).executeTakeFirst();
  return row !== undefined && equalBytes(row.leaf_hash, expected);
}
