// Opens the store at a place. A place is data, so that a thread can open the same one.
import { Kysely } from 'kysely';
import { z } from 'zod';
import type { Engine } from './engine.ts';
import { PostgresEngine, type PostgresOptions } from './postgres-engine.ts';
import { type PostgresPlace, postgresPlaceSchema } from './postgres-place.ts';
import { PostgresPool } from './postgres-pool.ts';
import { nullableColumns, postgresSql } from './postgres-sql.ts';
import { openSqlite } from './sqlite.ts';
import { SqliteEngine } from './sqlite-engine.ts';

/** The file of a SQLite store, or a database of a PostgreSQL server. */
export type StorePlace = string | PostgresPlace;

export const storePlaceSchema: z.ZodType<StorePlace> = z.union([z.string(), postgresPlaceSchema]);

export function openEngine<DB>(place: StorePlace, options: PostgresOptions): Engine<DB> {
  return typeof place === 'string'
    ? new SqliteEngine<DB>(place, options.charge)
    : new PostgresEngine<DB>(place, options);
}

/** One connection, which only reads. */
export async function openReader<DB>(place: StorePlace): Promise<Kysely<DB>> {
  if (typeof place === 'string') return openSqlite<DB>(place, { mode: 'read' });
  const driver = new PostgresPool(place, { mode: 'read', maxConnections: 1 });
  const sql = postgresSql(new Set(await driver.use(nullableColumns)));
  return new Kysely<DB>({ dialect: { ...sql, createDriver: () => driver } });
}
