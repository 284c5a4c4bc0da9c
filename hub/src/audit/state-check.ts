// Compares the store's rows with what its log says of them, on a connection of its own that only reads: at a start, every hour in a thread, and by
// `edgekeep hub check`. The digest in the newest state entry, with the changes logged since, vouches for the list of row digests; the list is
// compared with the rows.
import { existsSync } from 'node:fs';
import { CoreError } from '@edgekeep/core/error';
import { type Kysely, sql } from 'kysely';
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import { isOfContent } from '../store/engine/failures.ts';
import { partsOf } from '../store/engine/parts.ts';
import { openReader, type StorePlace } from '../store/engine/place.ts';
import { type RowExpressions, type RowSql, rowSqlOf } from '../store/engine/row-sql.ts';
import type { Tables } from '../store/schema.ts';
import { tableList } from '../store/security-tables.ts';
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
  /** Of the row in the snapshot that was compared; empty for one that is missing. */
  readonly id: string;
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
const textRow = z.object({ id: z.string(), name: z.string(), text: z.string() });

/** Whose triggers are in the store: none that count, or those of a hub of this version, which runs. */
export type StoreUse = 'stopped' | 'running';

/**
 * Compares one snapshot. `key` is the hub's state key; without it entries are taken as they are, and the log's own checkpoint must vouch for them.
 */
export async function checkState(
  reader: Kysely<Tables>,
  key: Uint8Array | undefined,
  use: StoreUse = 'stopped',
): Promise<StateVerdict> {
  try {
    return await reader.transaction().execute((trx) => compare(trx, key, use));
  } catch (error) {
    const why = unreadable(error);
    if (why === undefined) throw error;
    return forged(why);
  }
}

/**
 * Why a store cannot be compared, where its content is the cause: somebody who writes a row and breaks the check must not be missed. Undefined for a
 * lock, a full disk and the like.
 */
export function unreadable(error: unknown): string | undefined {
  const parts = [CoreError, z.ZodError, SyntaxError, RangeError];
  if (!(error instanceof Error)) return undefined;
  // `store-unfit`: a column has a type that no hub gave it.
  const isUnfit = error instanceof HubError && error.code === 'store-unfit';
  if (isUnfit || isOfContent(error) || parts.some((each) => error instanceof each))
    return `the store or an entry about it cannot be read: ${error.message}`;
  return undefined;
}

async function compare(trx: Kysely<Tables>, key: Uint8Array | undefined, use: StoreUse): Promise<StateVerdict> {
  const inSql = rowSqlOf(trx);
  const planted = await inSql.planted(trx, use === 'running' ? tableList.replayed : undefined);
  if (planted !== undefined) return forged(`the store has a ${planted}, and a hub makes none`);
  const place = await placeOf(trx, inSql);
  const start = place === undefined ? await newestWhole(trx, inSql) : place.log_index;
  if (start === undefined) return { kind: 'none' };
  const read = await readEntries(trx, inSql, start, key);
  if ('reasons' in read) return read;
  const { state, last, net } = read;
  if (place === undefined || layoutDigest(place.layout) !== state.layout)
    return forged('the list of tables is not the one that the log names');
  const expressions = await inSql.rows(trx);
  const findings: StateFinding[] = [];
  let rows = 0;
  for (const each of parseLayout(place.layout)) {
    const list = await listOf(trx, each.table);
    const before = undone([...list.keys()], net.get(each.table));
    const { rows: count, digest } = listState(before);
    const logged = state.tables[each.table];
    if (logged === undefined || logged.rows !== count || logged.digest !== digest)
      return forged(`the list of rows of ${each.table} is not the one that the log vouches for`);
    rows += list.size;
    findings.push(...(await findingsOf(trx, each.table, expressions(each), list)));
  }
  return { kind: 'compared', whole: start, last, layout: place.layout, rows, findings };
}

function forged(...reasons: readonly string[]): { readonly kind: 'forged'; readonly reasons: readonly string[] } {
  return { kind: 'forged', reasons };
}

/** Whether the log of the store at a place has entries about its state. */
export async function hasStateEntries(place: StorePlace): Promise<boolean> {
  if (typeof place === 'string' && !existsSync(place)) return false;
  await using reader = await openReader<Tables>(place);
  if (!(await rowSqlOf(reader).hasTable(reader, 'security_state'))) return false;
  const [row] = await reader.selectFrom('security_state').select('id').limit(1).execute();
  return row !== undefined;
}

async function placeOf(trx: Kysely<Tables>, inSql: RowSql): Promise<z.infer<typeof stateRow> | undefined> {
  if (!(await inSql.hasTable(trx, 'security_state'))) return undefined;
  const [row] = await trx.selectFrom('security_state').select(['log_index', 'layout']).execute();
  return row === undefined ? undefined : stateRow.parse(row);
}

/** Searches the whole log: a store whose pointer is gone is not taken for one that never had a state. */
async function newestWhole(trx: Kysely<Tables>, inSql: RowSql): Promise<number | undefined> {
  for await (const row of stateEntries(trx, inSql, 0, 'desc')) {
    const { log_index: index, entry } = entryRow.parse(row);
    if (parseStateEntry(entry)?.kind === 'state') return index;
  }
  return undefined;
}

/** Only entries about the state come out: the test for their mark is in SQL. */
async function* stateEntries(trx: Kysely<Tables>, inSql: RowSql, from: number, order: 'asc' | 'desc') {
  const marked = sql<boolean>`${inSql.contains('entry', stateMark)}`;
  const entries = trx.selectFrom('audit_entry').select(['log_index', 'entry']).where('log_index', '>=', from);
  for await (const part of partsOf(trx, entries.where(marked).orderBy('log_index', order))) yield* part;
}

type WholeState = Extract<StateEntry, { readonly kind: 'state' }>;
/** Digest to +1 where it was added and to -1 where it was removed. */
type Net = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** The whole state at `start`, and the changes since, each by an entry of this hub that names the one before. */
async function readEntries(trx: Kysely<Tables>, inSql: RowSql, start: number, key: Uint8Array | undefined) {
  let state: WholeState | undefined;
  let last = start;
  const net = new Map<string, Map<string, number>>();
  for await (const row of stateEntries(trx, inSql, start, 'asc')) {
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

async function listOf(trx: Kysely<Tables>, table: string): Promise<Map<string, string>> {
  const rows = trx.selectFrom('security_row').select(['digest', 'name']).where('table_name', '=', table);
  const list = new Map<string, string>();
  for await (const part of partsOf(trx, rows.orderBy('digest'))) {
    for (const row of part) {
      const { digest, name } = listRow.parse(row);
      list.set(digest, name);
    }
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

async function findingsOf(
  trx: Kysely<Tables>,
  table: string,
  { id, name, text, condition }: RowExpressions,
  list: Map<string, string>,
): Promise<readonly StateFinding[]> {
  const rows = trx
    .selectFrom(sql`${sql.table(table)}`.as('r'))
    .select([id.as('id'), name.as('name'), text.as('text')])
    .where(sql<boolean>`${condition}`);
  const left = new Map(list);
  const findings: StateFinding[] = [];
  for await (const part of partsOf(trx, rows)) {
    for (const row of part) {
      const { id: place, name: shown, text: content } = textRow.parse(row);
      const digest = rowDigest(table, content);
      if (!left.delete(digest)) findings.push({ kind: 'unlogged', table, name: shown, digest, id: place });
    }
  }
  for (const [digest, shown] of left) findings.push({ kind: 'missing', table, name: shown, digest, id: '' });
  return findings;
}
