// What authority is read from when the act happens: where a kept request came from, and an index that tells whether reference values changed.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('approval').addColumn('address', 'text').execute();
    await db.schema
      .createIndex('reference_values_withdrawn')
      .on('reference_values')
      .columns(['withdrawn_at'])
      .execute();
  },
};
