// The hub's own signing keys and the lists by which its root certifies them; the logs that followed one another. The keys of a hub from before are
// adopted when it opens, because they are not in the store.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('hub_key')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('purpose', 'text', (column) => column.notNull())
      .addColumn('status', 'text', (column) => column.notNull())
      .addColumn('spki', 'blob', (column) => column.notNull())
      .addColumn('origin', 'text')
      .addColumn('from_seconds', 'bigint', (column) => column.notNull())
      .addColumn('until_seconds', 'bigint')
      .addColumn('compromised', 'integer', (column) => column.notNull().defaultTo(0))
      .addColumn('added_at', 'bigint', (column) => column.notNull())
      .addColumn('activated_at', 'bigint')
      .addColumn('list_number', 'bigint')
      .execute();
    await db.schema
      .createTable('key_list')
      .addColumn('number', 'bigint', (column) => column.primaryKey())
      .addColumn('root_sha256', 'text', (column) => column.notNull())
      .addColumn('file', 'blob', (column) => column.notNull())
      .addColumn('issued_seconds', 'bigint', (column) => column.notNull())
      .addColumn('valid_until_seconds', 'bigint', (column) => column.notNull())
      .addColumn('installed_at', 'bigint', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('device_key_list')
      .addColumn('device_id', 'text', (column) => column.primaryKey())
      .addColumn('number', 'bigint', (column) => column.notNull())
      .addColumn('reported_at', 'bigint', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('audit_log')
      .addColumn('number', 'bigint', (column) => column.primaryKey())
      .addColumn('origin', 'text', (column) => column.notNull())
      .addColumn('spki', 'blob', (column) => column.notNull())
      .addColumn('first_index', 'bigint', (column) => column.notNull())
      .addColumn('closed_size', 'bigint')
      .addColumn('final_note', 'blob')
      .execute();
    await db.schema
      .alterTable('audit_checkpoint')
      .addColumn('log', 'bigint', (column) => column.notNull().defaultTo(1))
      .execute();
  },
};
