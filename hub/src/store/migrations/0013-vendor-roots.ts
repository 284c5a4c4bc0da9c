// Certificates of makers whose hardware is believed, and by which of them each device came.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('vendor_root')
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('sha256', 'text', (c) => c.notNull())
      .addColumn('spki_sha256', 'text', (c) => c.notNull())
      .addColumn('role', 'text', (c) => c.notNull())
      .addColumn('maker', 'text', (c) => c.notNull())
      .addColumn('subject', 'text', (c) => c.notNull())
      .addColumn('issuer', 'text', (c) => c.notNull())
      .addColumn('not_before', 'bigint', (c) => c.notNull())
      .addColumn('not_after', 'bigint', (c) => c.notNull())
      .addColumn('der', 'blob', (c) => c.notNull())
      .addColumn('source', 'text', (c) => c.notNull())
      .addColumn('added_at', 'bigint', (c) => c.notNull())
      .addColumn('added_by', 'text', (c) => c.notNull())
      .addColumn('removed_at', 'bigint')
      .addPrimaryKeyConstraint('vendor_root_key', ['kind', 'sha256'])
      .execute();
    await db.schema
      .createTable('vendor_root_state')
      .addColumn('id', 'integer', (c) => c.primaryKey())
      .addColumn('version', 'bigint', (c) => c.notNull())
      .execute();
    await sql`insert into vendor_root_state (id, version) values (1, 0)`.execute(db);
    await db.schema
      .createTable('device_maker')
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('maker', 'text', (c) => c.notNull())
      .addColumn('judged_at', 'bigint', (c) => c.notNull())
      .addColumn('notes', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('device_maker_key', ['device_id', 'kind'])
      .execute();
    await db.schema
      .createTable('device_maker_path')
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('sha256', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('device_maker_path_key', ['device_id', 'kind', 'sha256'])
      .execute();
    await db.schema
      .createIndex('device_maker_path_sha256')
      .on('device_maker_path')
      .columns(['sha256', 'kind'])
      .execute();
  },
};
