// The checkpoints that are open for cosignatures, and who cosigned them, for all nodes.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('witness_round')
      .addColumn('size', 'bigint', (column) => column.primaryKey())
      .addColumn('note', 'blob', (column) => column.notNull())
      .addColumn('started_seconds', 'bigint', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('witness_cosignature')
      .addColumn('number', 'bigint', (column) => column.primaryKey())
      .addColumn('size', 'bigint', (column) => column.notNull())
      .addColumn('device_id', 'text')
      .addColumn('public_name', 'text')
      .addColumn('cosigned', 'blob', (column) => column.notNull())
      .execute();
  },
};
