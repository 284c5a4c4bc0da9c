// The schema's history: each migration runs once, in the order of their names, inside one transaction. One set for every engine.
import { type Kysely, sql } from 'kysely';
import { type Migration, type MigrationProvider, Migrator } from 'kysely/migration';
import { HubError } from '../common/error.ts';
import { rowSqlOf } from './engine/row-sql.ts';
import { migrations } from './migrations.ts';
import type { Tables } from './schema.ts';

/** Every migration that this hub knows, in their order. */
export const migrationNames: readonly string[] = Object.keys(migrations).toSorted();

/** A node that knows this migration may use a store that this version has migrated (docs/design/nodes.md, "Mixed versions"). */
const floorMigration = '0052-nodes';

const provider: MigrationProvider = { getMigrations: async () => ({ ...migrations }) };

/**
 * Migrates the schema to the newest version; safe to call at every start. Throws `store-newer` for a store that a later version has migrated,
 * unless it is `shared` and that version says that nodes of this one may use it.
 */
export async function migrate(db: Kysely<Tables>, shared = false): Promise<void> {
  const later = await laterMigrations(db);
  if (later.length > 0) await assertUsable(db, later, shared);
  const known: MigrationProvider = { getMigrations: async () => ({ ...migrations, ...doneByOthers(later) }) };
  const { error } = await new Migrator({ db, provider: known }).migrateToLatest();
  if (error !== undefined) throw error;
  await raiseFloor(db);
}

/** Names of migrations that ran on this store, and that this version does not have. */
async function laterMigrations(db: Kysely<Tables>): Promise<readonly string[]> {
  if (!(await rowSqlOf(db).hasTable(db, 'kysely_migration'))) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  return rows.map(({ name }) => name).filter((name) => !migrationNames.includes(name));
}

const doneByOthers = (names: readonly string[]) =>
  Object.fromEntries(names.map((name): [string, Migration] => [name, { up: async () => undefined }]));

async function assertUsable(db: Kysely<Tables>, later: readonly string[], shared: boolean): Promise<void> {
  const floor = shared ? await floorOf(db) : undefined;
  if (floor !== undefined && migrationNames.includes(floor)) return;
  throw new HubError(
    'store-newer',
    `a later version of edgekeep has upgraded this store (${later.join(', ')}): install that version here too, or restore a backup from before`,
  );
}

/** For a hub that runs while a later version upgrades its store. Throws `store-newer` where it must end. */
export async function assertFloor(db: Kysely<Tables>): Promise<void> {
  const floor = await floorOf(db);
  if (floor === undefined || floor <= floorMigration || migrationNames.includes(floor)) return;
  throw new HubError(
    'store-newer',
    `a later version of edgekeep has upgraded this store, which serves no node of this version any more: upgrade this node`,
  );
}

async function floorOf(db: Kysely<Tables>): Promise<string | undefined> {
  const row = await db.selectFrom('store_floor').select('migration').where('id', '=', 1).executeTakeFirst();
  return row?.migration;
}

async function raiseFloor(db: Kysely<Tables>): Promise<void> {
  const floor = await floorOf(db);
  if (floor !== undefined && floor >= floorMigration) return;
  const row = { id: 1, migration: floorMigration };
  await db
    .insertInto('store_floor')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ migration: floorMigration }))
    .execute();
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
