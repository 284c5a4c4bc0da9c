// The entries of the audit log as an engine sees them, and how many of them a transaction has appended so far.
import type { NumberedTable } from './engine/numbered-rows.ts';

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
