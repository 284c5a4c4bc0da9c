// Opens the store at a place. A place is data, so that a thread can open the same one.
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Engine, EngineOptions } from './engine.ts';
import { type PostgresPlace, postgresPlaceSchema } from './postgres-place.ts';
import { openSqlite } from './sqlite.ts';
import { SqliteEngine } from './sqlite-engine.ts';

/** The file of a SQLite store, or a database of a PostgreSQL server. */
export type StorePlace = string | PostgresPlace;

export const storePlaceSchema: z.ZodType<StorePlace> = z.union([z.string(), postgresPlaceSchema]);

export async function openEngine<DB>(place: StorePlace, options: EngineOptions): Promise<Engine<DB>> {
  if (typeof place === 'string') return new SqliteEngine<DB>(place, options.charge);
  // A hub on SQLite loads no client of PostgreSQL.
  const { PostgresEngine } = await import('./postgres-engine.ts');
  return new PostgresEngine<DB>(place, options);
}

/** One connection, which only reads. */
export async function openReader<DB>(place: StorePlace): Promise<Kysely<DB>> {
  if (typeof place === 'string') return openSqlite<DB>(place, { mode: 'read' });
  const { openPostgresReader } = await import('./postgres-engine.ts');
  return openPostgresReader<DB>(place);
}
