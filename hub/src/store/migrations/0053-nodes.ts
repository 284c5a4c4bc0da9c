// What several nodes on one store need to act as one hub: where the chain of state entries ends, which tables changed, and which node leads.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    // Null until the first entry of this version: then the hub takes what it read at its start.
    await db.schema.alterTable('security_state').addColumn('last_index', 'bigint').execute();
    await db.schema
      .createTable('table_revision')
      .addColumn('table_name', 'text', (column) => column.primaryKey())
      .addColumn('revision', 'bigint', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('job_lease')
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .addColumn('node', 'text', (column) => column.notNull())
      .addColumn('term', 'bigint', (column) => column.notNull())
      .addColumn('expires_at', 'bigint', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('job_request')
      .addColumn('job', 'text', (column) => column.primaryKey())
      .addColumn('node', 'text', (column) => column.notNull())
      .execute();
  },
};
