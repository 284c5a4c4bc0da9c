// Leases are listed in the order of the audit log.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.createIndex('lease_log_index').on('lease').column('log_index').execute();
  },
};
