// The mark that a move leaves in a store (docs/design/postgresql.md, "Moving a store"). Two hubs that go on with one log would fork it, so of the two
// stores of a move at most one is without a mark at any moment, and no writer opens one with a mark.
import { parseJson } from '@edgekeep/core/json';
import { utf8 } from '@edgekeep/core/bytes';
import type { Kysely } from 'kysely';
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import { openReader, type StorePlace } from './engine/place.ts';
import { rowSqlOf } from './engine/row-sql.ts';
import type { Tables } from './schema.ts';
import type { Cell, TableShape } from './table-shape.ts';

/** Where the log of a store ends: the number of entries, and the leaf hash of the last one, hex. */
export interface LogEnd {
  readonly entries: number;
  readonly newest: string;
}

export interface StoreMark extends LogEnd {
  /** `incoming`: a copy that is not in use yet. `moved`: the other store is in use. */
  readonly state: 'incoming' | 'moved';
  /** The same in both stores of one move. */
  readonly move: string;
  /** The setting `store` of the other one; null for a copy from a backup. */
  readonly other: StoreSetting | null;
  readonly at: number;
}

const storeSettingSchema = z.strictObject({
  url: z.string(),
  passwordFile: z.string().nullable(),
  caFile: z.string().nullable(),
});
export type StoreSetting = z.infer<typeof storeSettingSchema>;

const stateSchema = z.enum(['incoming', 'moved']);

/** Undefined for a store in use, and for one of before there were marks. */
export async function markIn(db: Kysely<Tables>): Promise<StoreMark | undefined> {
  const row = await db.selectFrom('store_move').selectAll().executeTakeFirst();
  if (row === undefined) return undefined;
  const { state, move, other, entries, newest, at } = row;
  const setting = parseJson(utf8(other), storeSettingSchema.nullable(), 'store_move');
  return { state: stateSchema.parse(state), move, other: setting, entries, newest, at };
}

/** The same of a store that nobody has open; undefined where there is none. */
export async function markAt(place: StorePlace): Promise<StoreMark | undefined> {
  if (typeof place === 'string' && !existsSync(place)) return undefined;
  await using reader = await openReader<Tables>(place);
  return (await rowSqlOf(reader).hasTable(reader, 'store_move')) ? await markIn(reader) : undefined;
}

/** Throws `store-moved` for a store that no hub may change. */
export async function assertInUse(db: Kysely<Tables>): Promise<void> {
  const mark = await markIn(db);
  if (mark !== undefined) throw movedError(mark);
}

/** The copy is in use from now on. */
export async function removeMark(trx: Kysely<Tables>): Promise<void> {
  await trx.deleteFrom('store_move').execute();
}

export function movedError({ state, other, at }: StoreMark): HubError {
  const when = new Date(at).toISOString();
  const message =
    state === 'moved'
      ? `the hub of this store was moved to ${other?.url ?? 'another store'} at ${when}, and its log goes on there: put that into hub.json (store.url). Two hubs of one log would fork it`
      : `this store is a copy of ${other?.url ?? 'a backup'} from ${when} that is not in use: start the hub with the hub.json that the move left, or repeat the move`;
  return new HubError('store-moved', message);
}

/** A mark as the one row of its table. */
export function markRow({ state, move, other, entries, newest, at }: StoreMark): readonly (readonly Cell[])[] {
  return [[1, state, move, JSON.stringify(other), entries, newest, at]];
}

export const markShape: TableShape = {
  table: 'store_move',
  columns: [
    { name: 'id', kind: 'integer' },
    { name: 'state', kind: 'text' },
    { name: 'move', kind: 'text' },
    { name: 'other', kind: 'text' },
    { name: 'entries', kind: 'integer' },
    { name: 'newest', kind: 'text' },
    { name: 'at', kind: 'integer' },
  ],
  key: ['id'],
};

export async function logEndAt(place: StorePlace): Promise<LogEnd> {
  await using db = await openReader<Tables>(place);

  const newest = await db
    .selectFrom('audit_entry')
    .select(['log_index', 'leaf_hash'])
    .orderBy('log_index', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (newest === undefined) return { entries: 0, newest: '' };
  return { entries: newest.log_index + 1, newest: Buffer.from(newest.leaf_hash).toString('hex') };
}
