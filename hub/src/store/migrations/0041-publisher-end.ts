// The end of a publisher: what it published before counts, and nothing that it signs later. The publisher itself stays.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('publisher_end')
      .addColumn('fingerprint', 'text', (c) => c.primaryKey())
      .addColumn('ends_at', 'bigint', (c) => c.notNull())
      .addColumn('note', 'text', (c) => c.notNull())
      .addColumn('ordered_at', 'bigint', (c) => c.notNull())
      .execute();
  },
};
