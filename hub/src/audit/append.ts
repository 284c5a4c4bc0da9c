// Adds an entry to the audit log inside the transaction of the change it describes: the change and its record are durable together or
// not at all. The tree over the entries is built from this table afterwards (log.ts).
import { type AuditEntry, encodeAuditEntry } from '@edgekeep/core/audit/entry';
import { leafHash } from '@edgekeep/core/audit/merkle';
import type { WriteTransaction } from '../store/database.ts';

/** Returns the entry's index in the log. */
export async function appendEntry(trx: WriteTransaction, entry: Omit<AuditEntry, 'type'>): Promise<number> {
  const bytes = encodeAuditEntry({ type: 'edgekeep-audit-entry/v1', ...entry });
  const last = await trx
    .selectFrom('audit_entry')
    .select((q) => q.fn.max('log_index').as('last'))
    .executeTakeFirst();
  const index = last === undefined || last.last === null ? 0 : last.last + 1;
  await trx
    .insertInto('audit_entry')
    .values({ log_index: index, entry: bytes, leaf_hash: leafHash(bytes) })
    .execute();
  return index;
}
