// How far each device's IMA log was appraised: a log grows for as long as the device runs, and only what is new is sent.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('ima_log')
      .addColumn('device_id', 'text', (c) => c.primaryKey())
      .addColumn('reset_count', 'bigint', (c) => c.notNull())
      .addColumn('restart_count', 'bigint', (c) => c.notNull())
      .addColumn('entries', 'bigint', (c) => c.notNull())
      .addColumn('value', 'text', (c) => c.notNull())
      .addColumn('start_entries', 'bigint', (c) => c.notNull())
      .addColumn('start_value', 'text', (c) => c.notNull())
      .execute();
  },
};
