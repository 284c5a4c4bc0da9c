// Enrolment tokens end with the API token that made them, and can be revoked. Those from before have no maker: they run to their own end.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const table of ['enrolment_token', 'enrolment_group_token']) {
      await db.schema.alterTable(table).addColumn('made_by', 'text').execute();
      await db.schema.alterTable(table).addColumn('revoked_at', 'bigint').execute();
    }
  },
};
