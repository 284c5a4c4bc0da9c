// How many entries of the audit log a transaction has appended so far.
const appended = new WeakMap<object, number>();

export function noteEntry(trx: object): void {
  appended.set(trx, entriesOf(trx) + 1);
}

export function entriesOf(trx: object): number {
  return appended.get(trx) ?? 0;
}
