// Compares the store's rows with what its log says of them, on a connection of its own that only reads: at a start, every hour in a thread, and by
// `edgekeep hub check`. The digest in the newest state entry, with the changes logged since, vouches for the list of row digests; the list is
// compared with the rows.
import type { DatabaseSync } from 'node:sqlite';
import { CoreError } from '@edgekeep/core/error';
import { z } from 'zod';
import { readRows, rowCondition, rowName, rowText } from '../store/engine/row-watch.ts';
import {
  isOwnEntry,
  layoutDigest,
  parseLayout,
  parseStateEntry,
  rowDigest,
  type StateEntry,
  stateMark,
} from './state-entry.ts';
import { listState } from './state-recorder.ts';

export interface StateFinding {
  /** `unlogged`: a row without an entry. `missing`: a row that the log has and the table has not. A changed row is both. */
  readonly kind: 'unlogged' | 'missing';
  readonly table: string;
  readonly name: string;
  readonly digest: string;
  readonly rowid: number;
}

export type StateVerdict =
  /** No entry about the state is in the log: the store is from before there were some. */
  | { readonly kind: 'none' }
  /** The store cannot be compared: entries or the list itself are not the hub's. */
  | { readonly kind: 'forged'; readonly reasons: readonly string[] }
  | {
      readonly kind: 'compared';
      /** Of the newest entry with the whole state, and of the newest one about changes. */
      readonly whole: number;
      readonly last: number;
      readonly layout: string;
      readonly rows: number;
      readonly findings: readonly StateFinding[];
    };

const stateRow = z.object({ log_index: z.int(), layout: z.string() });
const entryRow = z.object({ log_index: z.int(), entry: z.instanceof(Uint8Array) });
const listRow = z.object({ digest: z.string(), name: z.string() });
const textRow = z.object({ id: z.int(), name: z.string(), text: z.string() });
const schemaRow = z.object({ type: z.string(), name: z.string() });

/** `key` is the hub's state key; without it entries are taken as they are, and the log's own checkpoint must vouch for them. */
export function checkState(store: DatabaseSync, key: Uint8Array | undefined): StateVerdict {
  readRows(store);
  store.exec('BEGIN');
  try {
    return compare(store, key);
  } catch (error) {
    const why = unreadable(error);
    if (why === undefined) throw error;
    return forged(why);
  } finally {
    store.exec('COMMIT');
  }
}

/**
 * Why a store cannot be compared, where its content is the cause: somebody who writes a row and breaks the check must not be missed. Undefined for a
 * lock, a full disk and the like.
 */
export function unreadable(error: unknown): string | undefined {
  const parts = [CoreError, z.ZodError, SyntaxError, RangeError];
  if (!(error instanceof Error)) return undefined;
  if (parts.some((each) => error instanceof each) || ('errcode' in error && contentCodes.has(error.errcode)))
    return `the store or an entry about it cannot be read: ${error.message}`;
  return undefined;
}

/** SQLITE_ERROR, for a table or column that is gone, and SQLITE_TOOBIG. */
const contentCodes: ReadonlySet<unknown> = new Set([1, 18]);

function compare(store: DatabaseSync, key: Uint8Array | undefined): StateVerdict {
  const planted = store.prepare("select type, name from sqlite_schema where type in ('trigger', 'view')").all();
  if (planted.length > 0) {
    const { type, name } = schemaRow.parse(planted[0]);
    return forged(`the store has a ${type} ${name}, and a hub makes none`);
  }
  const place = placeOf(store);
  const start = place === undefined ? newestWhole(store) : place.log_index;
  if (start === undefined) return { kind: 'none' };
  const read = readEntries(store, start, key);
  if ('reasons' in read) return read;
  const { state, last, net } = read;
  if (place === undefined || layoutDigest(place.layout) !== state.layout)
    return forged('the list of tables is not the one that the log names');
  const findings: StateFinding[] = [];
  let rows = 0;
  for (const each of parseLayout(place.layout)) {
    const list = listOf(store, each.table);
    const before = undone([...list.keys()], net.get(each.table));
    const { rows: count, digest } = listState(before);
    const logged = state.tables[each.table];
    if (logged === undefined || logged.rows !== count || logged.digest !== digest)
      return forged(`the list of rows of ${each.table} is not the one that the log vouches for`);
    rows += list.size;
    findings.push(...findingsOf(store, each, list));
  }
  return { kind: 'compared', whole: start, last, layout: place.layout, rows, findings };
}

function forged(...reasons: readonly string[]): { readonly kind: 'forged'; readonly reasons: readonly string[] } {
  return { kind: 'forged', reasons };
}

function placeOf(store: DatabaseSync): z.infer<typeof stateRow> | undefined {
  const has = store.prepare("select 1 from sqlite_schema where name = 'security_state'").get();
  const row = has === undefined ? undefined : store.prepare('select log_index, layout from security_state').get();
  return row === undefined ? undefined : stateRow.parse(row);
}

/** Searches the whole log: a store whose pointer is gone is not taken for one that never had a state. */
function newestWhole(store: DatabaseSync): number | undefined {
  for (const row of store.prepare('select log_index, entry from audit_entry order by log_index desc').iterate()) {
    const { log_index: index, entry } = entryRow.parse(row);
    if (parseStateEntry(entry)?.kind === 'state') return index;
  }
  return undefined;
}

type WholeState = Extract<StateEntry, { readonly kind: 'state' }>;
/** Digest to +1 where it was added and to -1 where it was removed. */
type Net = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** The whole state at `start`, and the changes since, each by an entry of this hub that names the one before. */
function readEntries(store: DatabaseSync, start: number, key: Uint8Array | undefined) {
  let state: WholeState | undefined;
  let last = start;
  const net = new Map<string, Map<string, number>>();
  // The test for the mark is in SQL: only entries about the state come out.
  const marked = store.prepare(
    'select log_index, entry from audit_entry where log_index >= ? and instr(entry, ?) > 0 order by log_index',
  );
  for (const row of marked.iterate(start, stateMark)) {
    const { log_index: index, entry: bytes } = entryRow.parse(row);
    const entry = parseStateEntry(bytes);
    if (entry === undefined) continue;
    if (key !== undefined && !isOwnEntry(key, index, entry))
      return forged(`entry ${index} was not written by this hub`);
    if (state === undefined) {
      if (index !== start || entry.kind !== 'state') return forged(`entry ${start} is not one about the whole state`);
      state = entry;
      continue;
    }
    if (entry.previous !== last) return forged(`an entry about the state between ${last} and ${index} is gone`);
    last = index;
    if (entry.kind === 'changed') for (const [table, each] of Object.entries(entry.changes)) apply(net, table, each);
  }
  if (state === undefined) return forged(`entry ${start} is not one about the whole state`);
  return { state, last, net: net satisfies Net };
}

function apply(
  net: Map<string, Map<string, number>>,
  table: string,
  {
    added = [],
    removed = [],
  }: { readonly added?: readonly string[] | undefined; readonly removed?: readonly string[] | undefined },
): void {
  const of = net.get(table) ?? new Map<string, number>();
  net.set(table, of);
  for (const each of removed) of.set(each, (of.get(each) ?? 0) - 1);
  for (const each of added) of.set(each, (of.get(each) ?? 0) + 1);
}

function listOf(store: DatabaseSync, table: string): Map<string, string> {
  const rows = store
    .prepare('select digest, name from security_row where table_name = ? order by digest')
    .iterate(table);
  const list = new Map<string, string>();
  for (const row of rows) {
    const { digest, name } = listRow.parse(row);
    list.set(digest, name);
  }
  return list;
}

/** The list as it was at the whole state, in order. */
function undone(list: readonly string[], net: ReadonlyMap<string, number> | undefined): readonly string[] {
  const changed = [...(net ?? [])].filter(([, by]) => by !== 0);
  if (changed.length === 0) return list;
  const before = new Set(list);
  for (const [digest, by] of changed) {
    if (by > 0) before.delete(digest);
    else before.add(digest);
  }
  return [...before].toSorted();
}

function findingsOf(
  store: DatabaseSync,
  each: ReturnType<typeof parseLayout>[number],
  list: Map<string, string>,
): readonly StateFinding[] {
  const { table } = each;
  const texts = store.prepare(
    `select rowid as id, ${rowName(each, 'r')} as name, ${rowText(each, 'r')} as text from "${table}" r where ${rowCondition(each, 'r')}`,
  );
  const left = new Map(list);
  const findings: StateFinding[] = [];
  for (const row of texts.iterate()) {
    const { id, name, text } = textRow.parse(row);
    const digest = rowDigest(table, text);
    if (!left.delete(digest)) findings.push({ kind: 'unlogged', table, name, digest, rowid: id });
  }
  for (const [digest, name] of left) findings.push({ kind: 'missing', table, name, digest, rowid: -1 });
  return findings;
}
