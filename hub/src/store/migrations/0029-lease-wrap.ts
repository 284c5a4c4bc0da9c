// The form in which a lease's key was wrapped: an agent that goes back to the form before is seen.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('lease').addColumn('wrap', 'text').execute();
  },
};
