// Opens the store at a place. A place is data, so that a thread can open the same one.
import type { Kysely } from 'kysely';
import type { Charge, Engine } from './engine.ts';
import { openSqlite } from './sqlite.ts';
import { SqliteEngine } from './sqlite-engine.ts';

/** The file of a SQLite store. */
export type StorePlace = string;

export async function openEngine<DB>(place: StorePlace, charge: Charge): Promise<Engine<DB>> {
  return new SqliteEngine<DB>(place, charge);
}

/** A connection that only reads. */
export function openReader<DB>(place: StorePlace): Kysely<DB> {
  return openSqlite<DB>(place, { mode: 'read' });
}
