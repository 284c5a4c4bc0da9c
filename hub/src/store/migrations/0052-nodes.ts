// The nodes of a hub on PostgreSQL, and the hub's keys, sealed, which they share (spec/platform-secrets.md, "Keys in the store").
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('node')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('version', 'text', (c) => c.notNull())
      .addColumn('addresses', 'text', (c) => c.notNull())
      .addColumn('joined_at', 'bigint', (c) => c.notNull())
      .addColumn('seen_at', 'bigint')
      .addColumn('claim', 'text')
      .addColumn('place', 'text')
      .addColumn('log_size', 'bigint', (c) => c.notNull())
      .addColumn('connections', 'bigint', (c) => c.notNull())
      .addColumn('keys_version', 'bigint', (c) => c.notNull())
      .addColumn('removed_at', 'bigint')
      .execute();
    await db.schema
      .createTable('key_document')
      .addColumn('id', 'integer', (c) => c.primaryKey())
      .addColumn('version', 'bigint', (c) => c.notNull())
      .addColumn('document', 'blob', (c) => c.notNull())
      .execute();
    // The newest migration that a node must know to use this store (docs/design/nodes.md, "Mixed versions").
    await db.schema
      .createTable('store_floor')
      .addColumn('id', 'integer', (c) => c.primaryKey())
      .addColumn('migration', 'text', (c) => c.notNull())
      .execute();
  },
};
