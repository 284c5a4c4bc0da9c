// The entries of the audit log as an engine sees them: how many there are, and how many a transaction has appended so far.
import { type Kysely, sql } from 'kysely';
import type { NumberedTable } from './engine/numbered-rows.ts';
import { prepared } from './prepared.ts';
import type { Tables } from './schema.ts';

/** The rows that almost every write adds. */
export const auditEntries: NumberedTable = {
  table: 'audit_entry',
  number: 'log_index',
  columns: ['entry', 'leaf_hash'],
};

const appended = new WeakMap<object, number>();

export function noteEntry(trx: object): void {
  appended.set(trx, entriesOf(trx) + 1);
}

export function entriesOf(trx: object): number {
  return appended.get(trx) ?? 0;
}

/** The number of entries, which is the index of the next one. In a transaction, with those that it has appended. */
export async function entryCount(db: Kysely<Tables>): Promise<number> {
  const [row] = await count(db, {});
  return row?.count ?? 0;
}

const count = prepared<object, { readonly count: number }>((db) =>
  db.selectFrom('audit_entry').select(sql<number>`coalesce(max(log_index) + 1, 0)`.as('count')),
);
