// The schema's history: each migration runs once, in the order of their names, inside one transaction. One set for every engine.
import { type Kysely, sql } from 'kysely';
import { type MigrationProvider, Migrator } from 'kysely/migration';
import { rowSqlOf } from './engine/row-sql.ts';
import { migrations } from './migrations.ts';
import type { Tables } from './schema.ts';

/** Every migration that this hub knows, in their order. */
export const migrationNames: readonly string[] = Object.keys(migrations).toSorted();

const provider: MigrationProvider = { getMigrations: async () => ({ ...migrations }) };

/** Migrates the schema to the newest version; safe to call at every start. */
export async function migrate(db: Kysely<Tables>): Promise<void> {
  const { error } = await new Migrator({ db, provider }).migrateToLatest();
  if (error !== undefined) throw error;
}

/** Whether every migration has run on this store. */
export async function isMigrated(reader: Kysely<Tables>): Promise<boolean> {
  if (!(await rowSqlOf(reader).hasTable(reader, 'kysely_migration'))) return false;
  const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(reader);
  const done = new Set(rows.map(({ name }) => name));
  return migrationNames.every((name) => done.has(name));
}

/** For tests: an empty store of an earlier version, up to the migration of this name. */
export async function migrateTo(db: Kysely<Tables>, name: string): Promise<void> {
  const { error } = await new Migrator({ db, provider }).migrateTo(name);
  if (error !== undefined) throw error;
}
