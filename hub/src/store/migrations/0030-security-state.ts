// The rows that the log vouches for. What a store held before is adopted at the first start: an entry of the log has the digest of its state.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('security_row')
      .addColumn('table_name', 'text', (column) => column.notNull())
      .addColumn('digest', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('security_row_key', ['table_name', 'digest'])
      .execute();
    await db.schema
      .createTable('security_state')
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .addColumn('log_index', 'bigint', (column) => column.notNull())
      .addColumn('layout', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('refused_row')
      .addColumn('table_name', 'text', (column) => column.notNull())
      .addColumn('digest', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('content', 'text', (column) => column.notNull())
      .addColumn('refused_at', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('refused_row_key', ['table_name', 'digest'])
      .execute();
  },
};
