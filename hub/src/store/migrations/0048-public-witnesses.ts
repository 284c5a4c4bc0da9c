// What is known of each public witness that the hub asks, so that a start goes on where the last one ended.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('public_witness')
      .addColumn('key', 'text', (c) => c.primaryKey())
      .addColumn('seen_size', 'bigint', (c) => c.notNull())
      .addColumn('cosigned_size', 'bigint', (c) => c.notNull())
      .addColumn('cosigned_at', 'bigint')
      .addColumn('asked_at', 'bigint')
      .addColumn('failures', 'bigint', (c) => c.notNull())
      .addColumn('problem', 'text')
      .addColumn('next_at', 'bigint')
      .execute();
  },
};
