// Writes what changed in the security state into the log, in the transaction of the change, and keeps the list of row digests with it.
import { createHash } from 'node:crypto';
import type { UpdateResult } from 'kysely';
import { HubError } from '../common/error.ts';
import type { Clock } from '../common/clock.ts';
import type { ChangeRecorder, WriteTransaction } from '../store/database.ts';
import { entryCount } from '../store/entries.ts';
import { prepared } from '../store/prepared.ts';
import type { RowChange } from '../store/engine/row-watch.ts';
import { tableList } from '../store/security-tables.ts';
import { appendEntry } from './append.ts';
import {
  changeContents,
  layoutOf,
  rowDigest,
  type StateReason,
  stateContent,
  stateEvent,
  type TableChanges,
  type TableState,
} from './state-entry.ts';

// SQLite takes 32,766 parameters in one statement.
const ROWS_AT_ONCE = 500;

/** The newest entry about the state, and the newest one with the digest of the whole; -1: none. */
interface Chain {
  readonly last: number;
  readonly whole: number;
  readonly wrote?: 'whole';
}

interface Net {
  readonly added: Map<string, string>;
  readonly removed: Set<string>;
}

export class StateRecorder implements ChangeRecorder {
  readonly #key: Uint8Array;
  readonly #clock: Clock;
  /** Called when a write met a row that the log does not know. */
  readonly #onStranger: () => void;
  /** Where the chain of entries ends, as this process read or wrote it last. The store has it, because another node may have written since. */
  #chain: Chain;
  /** The same in the group that is not committed yet. */
  #written: Chain;
  #wanted: StateReason | undefined;
  #pending = new Map<string, Net>();

  constructor(key: Uint8Array, clock: Clock, found: Chain, onStranger: () => void) {
    this.#key = key;
    this.#clock = clock;
    this.#chain = found;
    this.#written = found;
    this.#onStranger = onStranger;
  }

  /** The newest entry with the digest of the whole, as far as this process knows. */
  get whole(): number {
    return this.#chain.whole;
  }

  async admit(trx: WriteTransaction, changes: readonly RowChange[]): Promise<void> {
    const net = netOf(changes);
    for (const [table, { added, removed }] of net) {
      await this.#remove(trx, table, [...removed]);
      await addToList(trx, table, [...added]);
    }
    for (const [table, each] of net) merge(this.#pending, table, each);
  }

  /** Takes a row off the list that its table does not have any more. */
  async drop(trx: WriteTransaction, table: string, digest: string): Promise<void> {
    await this.#remove(trx, table, [digest]);
    merge(this.#pending, table, { added: new Map(), removed: new Set([digest]) });
  }

  /** Has the next group of writes end in an entry with the digest of the whole state. */
  want(reason: StateReason): void {
    this.#wanted = reason;
  }

  due(): boolean {
    return this.#pending.size > 0 || this.#wanted !== undefined;
  }

  async record(trx: WriteTransaction): Promise<void> {
    this.#written = await this.#readChain(trx);
    const changed = new Map<string, TableChanges>();
    for (const [table, { added, removed }] of this.#pending)
      changed.set(table, { added: [...added.keys()], removed: [...removed] });
    for (const content of changeContents(changed)) await this.#append(trx, content);
    if (this.#wanted !== undefined) await this.#writeWhole(trx, this.#wanted);
    else await setLast(trx, { last: this.#written.last });
  }

  settled(committed: boolean): void {
    this.#pending = new Map();
    if (!committed) return;
    const { last, whole, wrote } = this.#written;
    if (wrote === 'whole') this.#wanted = undefined;
    this.#chain = { last, whole };
    this.#written = this.#chain;
  }

  // Read in the transaction that goes on from there: nodes write one after the other.
  async #readChain(trx: WriteTransaction): Promise<Chain> {
    const [row] = await chainRow(trx, {});
    if (row === undefined) return this.#chain;
    return { last: row.last_index ?? this.#chain.last, whole: row.log_index };
  }

  async #writeWhole(trx: WriteTransaction, reason: StateReason): Promise<void> {
    const tables = new Map<string, TableState>();
    for (const { table } of tableList.replayed) tables.set(table, await stateOf(trx, table));
    const layout = layoutOf(tableList.replayed);
    const index = await this.#append(trx, stateContent(reason, tables, layout));
    this.#written = { last: index, whole: index, wrote: 'whole' };
    const row = { log_index: index, last_index: index, layout };
    await trx
      .insertInto('security_state')
      .values({ id: 1, ...row })
      .onConflict((c) => c.column('id').doUpdateSet(row))
      .execute();
  }

  async #append(trx: WriteTransaction, content: Parameters<typeof stateEvent>[2]): Promise<number> {
    const index = await entryCount(trx);
    const place = { index, previous: this.#written.last, at: this.#clock() };
    await appendEntry(trx, stateEvent(this.#key, place, content));
    this.#written = { ...this.#written, last: index };
    return index;
  }

  // A change of a row that the log does not vouch for would make it one that it does.
  async #remove(trx: WriteTransaction, table: string, digests: readonly string[]): Promise<void> {
    for (const some of chunks(digests)) {
      const { numDeletedRows } = await trx
        .deleteFrom('security_row')
        .where('table_name', '=', table)
        .where('digest', 'in', some)
        .executeTakeFirstOrThrow();
      if (Number(numDeletedRows) === some.length) continue;
      this.#onStranger();
      throw new HubError('state-refused', `a row of ${table} was changed by something else than this hub`);
    }
  }
}

const chainRow = prepared<object, { log_index: number; last_index: number | null }>((db) =>
  db.selectFrom('security_state').select(['log_index', 'last_index']).where('id', '=', 1),
);

const setLast = prepared<{ last: number }, UpdateResult>((db, value) =>
  db
    .updateTable('security_state')
    .set({ last_index: value('last') })
    .where('id', '=', 1),
);

function netOf(changes: readonly RowChange[]): Map<string, Net> {
  const net = new Map<string, Net>();
  for (const { table, name, before, after } of changes) {
    const one: Net = { added: new Map(), removed: new Set() };
    if (before !== null) one.removed.add(rowDigest(table, before));
    if (after !== null) one.added.set(rowDigest(table, after), name);
    merge(net, table, one);
  }
  return net;
}

/** Applies later changes to earlier ones: what was added and is removed again leaves nothing. */
function merge(into: Map<string, Net>, table: string, { added, removed }: Net): void {
  const net = into.get(table) ?? { added: new Map<string, string>(), removed: new Set<string>() };
  into.set(table, net);
  for (const digest of removed) if (!net.added.delete(digest)) net.removed.add(digest);
  for (const [digest, name] of added) if (!net.removed.delete(digest)) net.added.set(digest, name);
}

/** Adds rows, by digest and name, to the list that the log vouches for. */
export async function addToList(
  trx: WriteTransaction,
  table: string,
  rows: readonly (readonly [string, string])[],
): Promise<void> {
  for (const some of chunks(rows))
    await trx
      .insertInto('security_row')
      .values(some.map(([digest, name]) => ({ table_name: table, digest, name: storedName(name) })))
      .execute();
}

/** A row from before texts with U+0000 were refused may have one in its name. */
export function storedName(name: string): string {
  return name.replaceAll('\0', '?');
}

function chunks<T>(all: readonly T[]): readonly T[][] {
  return Array.from({ length: Math.ceil(all.length / ROWS_AT_ONCE) }, (_, at) =>
    all.slice(at * ROWS_AT_ONCE, (at + 1) * ROWS_AT_ONCE),
  );
}

async function stateOf(trx: WriteTransaction, table: string): Promise<TableState> {
  const rows = await trx
    .selectFrom('security_row')
    .select('digest')
    .where('table_name', '=', table)
    .orderBy('digest')
    .execute();
  return listState(rows.map(({ digest }) => digest));
}

/** The state of a table from the digests of its rows in ascending order. */
export function listState(digests: readonly string[]): TableState {
  const whole = createHash('sha256');
  for (const each of digests) whole.update(`${each}\n`);
  return { rows: digests.length, digest: whole.digest('base64url') };
}
