// The hybrid key of each device that has one, and the groups whose devices get keys in hybrid wraps only, each version that operators set.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('device_hybrid_key')
      .addColumn('device_id', 'text', (c) => c.primaryKey())
      .addColumn('public_key', 'blob', (c) => c.notNull().unique())
      .addColumn('registered_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('post_quantum_rule')
      .addColumn('version', 'bigint', (c) => c.primaryKey())
      .addColumn('document', 'text', (c) => c.notNull())
      .addColumn('applied_at', 'bigint', (c) => c.notNull())
      .addColumn('applied_by', 'text', (c) => c.notNull())
      .execute();
  },
};
