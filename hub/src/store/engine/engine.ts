// What the hub needs of the product that keeps its rows. An engine knows connections, transactions and SQL, and no table
// by its meaning.
import type { Dialect, Kysely, RawBuilder, Transaction } from 'kysely';
import type { NumberedTable } from './numbered-rows.ts';
import type { RowChange, WatchedTable } from './row-watch.ts';

export interface Engine<DB> {
  /** Reads what was committed; cannot write. */
  readonly read: Kysely<DB>;
  /** The SQL of this engine, for reads that another thread does. */
  readonly sql: SqlOfEngine;
  /** From now on, until it is closed, no other hub writes to the store. Throws `store-in-use`. */
  hold(): Promise<void>;
  /** Whether other processes may write while this one has the store open. */
  readonly isShared: boolean;
  /** The store's own clock in unix milliseconds, as an expression: one clock for every process that has the store open. */
  readonly clock: RawBuilder<number>;
  /** Runs before anything else uses the store, in one transaction, and never twice at a time. */
  migrate(work: (trx: Transaction<DB>) => Promise<void>): Promise<void>;
  /** Runs one group of writes as one transaction; resolves once it is durable. One group at a time. */
  group<T>(work: (group: WriteGroup<DB>) => Promise<T>): Promise<T>;
  /** From now on each group first runs this query, after its lock, and fails with `FencedOut` where it finds no row. */
  fence(query: string): void;
  /** From now on a group hears of every changed row of these tables. */
  watch(tables: readonly WatchedTable[]): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type SqlOfEngine = Pick<Dialect, 'createAdapter' | 'createIntrospector' | 'createQueryCompiler'>;

export interface WriteGroup<DB> {
  /** Runs one write of the group. If it fails, its own statements are undone, and the others of the group are not affected. */
  write<T>(work: (trx: Transaction<DB>) => Promise<T>): Promise<Outcome<T>>;
  /** The rows of watched tables that the write that runs now has changed. */
  changes(): readonly RowChange[];
  readonly trx: Transaction<DB>;
}

export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown };

/** Hears of the time that a read took. */
export type Charge = (milliseconds: number) => void;

export interface EngineOptions {
  readonly charge: Charge;
  /** The rows that almost every write adds: an engine may count them itself. */
  readonly numbered: NumberedTable;
}
