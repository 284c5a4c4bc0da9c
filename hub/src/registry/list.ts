// A page of devices: filtered, sorted, and continued where the last page ended. A page begins after a device and its sort value, not at a
// count, so that devices that come and go meanwhile do not make others appear twice or go missing.
import { type Expression, type Kysely, sql, type SqlBool } from 'kysely';
import { HubError } from '../common/error.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { type Column, columns, conditionOf } from './condition.ts';
import { parseFilter } from './filter.ts';
import { groupsIn } from './groups.ts';
import { type DeviceExpressions, expressionOf, type Scope } from './statement.ts';

export interface DeviceQuery {
  /** RSQL; undefined for all devices. */
  readonly filter: string | undefined;
  /** A column's name, with a minus sign for descending order. */
  readonly sort: string;
  /** `next` of the page before, or empty. */
  readonly after: string;
  readonly limit: number;
  readonly nowMs: number;
}

export interface DevicePage {
  readonly devices: readonly DeviceRecord[];
  readonly next: string | null;
}

// Up to this many matches are fetched and sorted here. With more matches, going through the devices in order fills a page soon.
const SORTED_MAX = 2_000;

export async function queryDevices(db: Kysely<Tables>, query: DeviceQuery): Promise<DevicePage> {
  const { limit } = query;
  const sort = sortOf(query.sort);
  const begun = query.after === '' ? undefined : behind(query.after, sort);
  const matches = query.filter === undefined ? undefined : await matcherOf(db, query.filter, query.nowMs);
  const few = matches === undefined ? undefined : await fewIds(db, matches, sort, begun);
  const devices =
    few === undefined ? await inOrder(db, matches, sort, begun, limit) : await byId(db, few.slice(0, limit));
  const last = devices.at(-1);
  const full = devices.length === limit && last !== undefined;
  return { devices, next: full ? cursorText(last, sort.column) : null };
}

/** Throws `request-invalid` for a text that is no filter. Notes former names in it for the request under way, as the reading thread cannot. */
export function checkFilter(filter: string, nowMs: number): void {
  conditionOf(parseFilter(filter), nowMs);
}

/** The number of devices that match. */
export async function countDevices(db: Kysely<Tables>, filter: string, nowMs: number): Promise<number> {
  const matches = await matcherOf(db, filter, nowMs);
  const { count } = await db
    .selectFrom('device')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where((eb) => matches(eb, 'by-condition'))
    .executeTakeFirstOrThrow();
  return count;
}

/** The devices that match; at most as many ids as one statement can hold. */
export async function matchingAmong(
  db: Kysely<Tables>,
  filter: string,
  ids: readonly string[],
  nowMs: number,
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const matches = await matcherOf(db, filter, nowMs);
  const rows = await db
    .selectFrom('device')
    .select('id')
    .where('id', 'in', ids)
    .where((eb) => matches(eb, 'in-order'))
    .execute();
  return new Set(rows.map(({ id }) => id));
}

type Matcher = (eb: DeviceExpressions, found: Scope['found']) => Expression<SqlBool>;

async function matcherOf(db: Kysely<Tables>, filter: string, nowMs: number): Promise<Matcher> {
  const condition = conditionOf(parseFilter(filter), nowMs);
  const groups = await groupsIn(db, condition, nowMs);
  return (eb, found) => expressionOf({ eb, db, groups, found }, condition);
}

/** The ids of all that match, in the order of the list; undefined when there are too many. */
async function fewIds(
  db: Kysely<Tables>,
  matches: Matcher,
  { column, direction }: Sort,
  begun: Expression<SqlBool> | undefined,
): Promise<readonly string[] | undefined> {
  let select = db
    .selectFrom('device')
    .select(['id', `${column} as value`])
    .where((eb) => matches(eb, 'by-condition'));
  if (begun !== undefined) select = select.where(begun);
  const rows = await select.limit(SORTED_MAX + 1).execute();
  if (rows.length > SORTED_MAX) return undefined;
  const ascending = rows.toSorted((a, b) => compare(a.value, b.value) || compare(a.id, b.id)).map(({ id }) => id);
  return direction === 'asc' ? ascending : ascending.toReversed();
}

// Ids and words are ASCII: UTF-16 orders them as the store does.
function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function byId(db: Kysely<Tables>, ids: readonly string[]): Promise<readonly DeviceRecord[]> {
  if (ids.length === 0) return [];
  const rows = await db.selectFrom('device').selectAll().where('id', 'in', ids).execute();
  const found = new Map(rows.map((row) => [row.id, row]));
  return ids.flatMap((id) => found.get(id) ?? []);
}

async function inOrder(
  db: Kysely<Tables>,
  matches: Matcher | undefined,
  { column, direction }: Sort,
  begun: Expression<SqlBool> | undefined,
  limit: number,
): Promise<readonly DeviceRecord[]> {
  let select = db.selectFrom('device').selectAll();
  if (matches !== undefined) select = select.where((eb) => matches(eb, 'in-order'));
  if (begun !== undefined) select = select.where(begun);
  if (column !== 'id') select = select.orderBy(column, direction);
  return select.orderBy('id', direction).limit(limit).execute();
}

interface Sort {
  readonly name: string;
  readonly column: Column;
  readonly direction: 'asc' | 'desc';
}

function sortOf(text: string): Sort {
  const name = text.startsWith('-') ? text.slice(1) : text;
  const found = Object.entries(columns).find(([each]) => each === name)?.[1];
  if (found === undefined) {
    throw new HubError(
      'request-invalid',
      `sort: no field ${JSON.stringify(name.slice(0, 80))}: there are ${Object.keys(columns).join(', ')}`,
    );
  }
  return { name, column: found.column, direction: text.startsWith('-') ? 'desc' : 'asc' };
}

// The condition for rows after a cursor.
function behind(cursor: string, { name, column, direction }: Sort): Expression<SqlBool> {
  const { value, id } = cursorOf(cursor, name);
  const place = sql`(${sql.ref(`device.${column}`)}, ${sql.ref('device.id')})`;
  return direction === 'asc' ? sql<SqlBool>`${place} > (${value}, ${id})` : sql<SqlBool>`${place} < (${value}, ${id})`;
}

// A cursor is the id of a page's last device, preceded by its sort value and a dot when the list is sorted by another field. Neither
// contains a dot.
function cursorText(device: DeviceRecord, column: Column): string {
  return column === 'id' ? device.id : `${device[column]}.${device.id}`;
}

function cursorOf(text: string, name: string): { readonly value: string | number; readonly id: string } {
  const match = /^(?:([a-z0-9-]{1,40})\.)?([a-z0-9][a-z0-9-]{0,62})$/.exec(text);
  const [, value, id = ''] = match ?? [];
  const isTime = name === 'seenAt' || name === 'enrolledAt';
  const fits =
    match !== null && (name === 'id') === (value === undefined) && (!isTime || /^\d{1,15}$/.test(value ?? ''));
  if (!fits)
    throw new HubError('request-invalid', 'after: expected the `next` of the previous page, with the same sort');
  return { value: isTime ? Number(value) : (value ?? id), id };
}
