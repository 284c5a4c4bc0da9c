// Issuing CAs of one class each. Those from before issue for every class.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('issuing_authority')
      .addColumn('class', 'text', (column) => column.notNull().defaultTo('general'))
      .execute();
  },
};
