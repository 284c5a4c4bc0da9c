// A page of devices: filtered, sorted, and continued where the last page ended. A page begins behind a device and its sort value, not at a
// count, so devices that come and go meanwhile make nothing appear twice or go missing.
import { type Expression, type Kysely, sql, type SqlBool } from 'kysely';
import { HubError } from '../error.ts';
import type { DeviceRecord, Tables } from '../store/schema.ts';
import { type Column, columns, type Condition, conditionOf } from './condition.ts';
import { parseFilter } from './filter.ts';
import { groupsIn } from './groups.ts';
import { type DeviceExpressions, expressionOf } from './statement.ts';

export interface DeviceQuery {
  /** RSQL; undefined for all devices. */
  readonly filter: string | undefined;
  /** A column's name, with a minus sign for the other way round. */
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

export async function queryDevices(db: Kysely<Tables>, query: DeviceQuery): Promise<DevicePage> {
  const { after, limit } = query;
  const { name, column, direction } = sortOf(query.sort);
  let select = db.selectFrom('device').selectAll();
  const matches = await matcherOf(db, query.filter, query.nowMs);
  if (matches !== undefined) select = select.where(matches);
  if (after !== '') {
    const begin = cursorOf(after, name);
    const place = sql`(${sql.ref(`device.${column}`)}, ${sql.ref('device.id')})`;
    const from = sql`(${begin.value}, ${begin.id})`;
    select = select.where(direction === 'asc' ? sql<SqlBool>`${place} > ${from}` : sql<SqlBool>`${place} < ${from}`);
  }
  if (column !== 'id') select = select.orderBy(column, direction);
  const devices = await select.orderBy('id', direction).limit(limit).execute();
  const last = devices.at(-1);
  const full = devices.length === limit && last !== undefined;
  return { devices, next: full ? cursorText(last, column) : null };
}

/** How many devices match. */
export async function countDevices(db: Kysely<Tables>, filter: string, nowMs: number): Promise<number> {
  const matches = await matcherOf(db, filter, nowMs);
  let select = db.selectFrom('device').select((eb) => eb.fn.countAll<number>().as('count'));
  if (matches !== undefined) select = select.where(matches);
  return (await select.executeTakeFirstOrThrow()).count;
}

async function matcherOf(
  db: Kysely<Tables>,
  filter: string | undefined,
  nowMs: number,
): Promise<((eb: DeviceExpressions) => Expression<SqlBool>) | undefined> {
  if (filter === undefined) return undefined;
  const condition: Condition = conditionOf(parseFilter(filter), nowMs);
  const groups = await groupsIn(db, condition, nowMs);
  return (eb) => expressionOf(eb, db, condition, groups);
}

function sortOf(text: string): { readonly name: string; readonly column: Column; readonly direction: 'asc' | 'desc' } {
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

// A cursor is the id of a page's last device, with its sort value before a dot when it is sorted by another field; neither has a dot.
function cursorText(device: DeviceRecord, column: Column): string {
  return column === 'id' ? device.id : `${device[column]}.${device.id}`;
}

function cursorOf(text: string, name: string): { readonly value: string | number; readonly id: string } {
  const match = /^(?:([a-z0-9-]{1,40})\.)?([a-z0-9][a-z0-9-]{0,62})$/.exec(text);
  const [, value, id = ''] = match ?? [];
  const isTime = name === 'seenAt' || name === 'enrolledAt';
  const fits =
    match !== null && (name === 'id') === (value === undefined) && (!isTime || /^\d{1,15}$/.test(value ?? ''));
  if (!fits) throw new HubError('request-invalid', 'after: give back `next` of the page before, with the same sort');
  return { value: isTime ? Number(value) : (value ?? id), id };
}
