// Makes a store in a database of PostgreSQL with the rows of another one, in one transaction: a copy that was killed leaves nothing.
import { CompiledQuery, type Transaction } from 'kysely';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';
import { PostgresEngine } from '../engine/postgres-engine.ts';
import { type PostgresPlace, postgresText } from '../engine/postgres-place.ts';
import { auditEntries } from '../entries.ts';
import { migrate } from '../migrate.ts';
import type { Tables } from '../schema.ts';
import type { CopyProgress, CopySource } from './copy-end.ts';
import { copyRows } from './copy-rows.ts';
import { postgresTarget } from './postgres-end.ts';
import { markRow, markShape, type StoreMark } from '../store-mark.ts';
import type { TableShape } from '../table-shape.ts';

export interface Filling {
  readonly source: CopySource;
  readonly shapes: readonly TableShape[];
  /** What the copy says of itself until it is in use. */
  readonly mark: StoreMark;
  readonly progress: CopyProgress;
}

/** Throws `move-refused` for a database that is not empty, except for a copy that never got into use. */
export async function fillPostgres(place: PostgresPlace, { source, shapes, mark, progress }: Filling): Promise<void> {
  await using engine = new PostgresEngine<Tables>(place, { charge: () => undefined, numbered: auditEntries });
  await engine.migrate(async (trx) => {
    const ask = async (sql: string, parameters: readonly unknown[]) =>
      (await trx.executeQuery<unknown>(CompiledQuery.raw(sql, [...parameters]))).rows;
    await empty(trx, ask, place);
    await migrate(trx);
    const target = postgresTarget(ask);
    await copyRows(source, target, { shapes, progress });
    await target.insert(markShape, markRow(mark));
  });
}

type Ask = (sql: string, parameters: readonly unknown[]) => Promise<readonly unknown[]>;

const tableRow = z.object({ name: z.string() });

async function empty(trx: Transaction<Tables>, ask: Ask, place: PostgresPlace): Promise<void> {
  const rows = await ask(`select tablename as name from pg_tables where schemaname = 'public'`, []);
  const tables = rows.map((row) => tableRow.parse(row).name);
  if (tables.length === 0) return;
  if (!tables.includes('store_move') || !(await isLeft(trx)))
    throw new HubError(
      'move-refused',
      `${postgresText(place)} is not empty (${tables.slice(0, 3).join(', ')} …): make a new database for the store. Nothing was changed`,
    );
  for (const table of tables) await ask(`drop table public."${table}" cascade`, []);
}

/** Whether a copy that did not get into use is there. */
async function isLeft(trx: Transaction<Tables>): Promise<boolean> {
  const mark = await trx.selectFrom('store_move').select('state').executeTakeFirst();
  return mark?.state === 'incoming';
}
