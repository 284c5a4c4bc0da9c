// The counters and the clock of each device's newest quote (spec/tpm-clock.md), and the latest time that this hub has seen
// (docs/design/hub-time.md).
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('tpm_clock')
      .addColumn('device_id', 'text', (c) => c.primaryKey())
      .addColumn('key_name', 'text', (c) => c.notNull())
      .addColumn('reset_count', 'bigint', (c) => c.notNull())
      .addColumn('restart_count', 'bigint', (c) => c.notNull())
      .addColumn('clock', 'text', (c) => c.notNull())
      .addColumn('safe', 'integer', (c) => c.notNull())
      .addColumn('asked_at', 'bigint', (c) => c.notNull())
      .addColumn('received_at', 'bigint', (c) => c.notNull())
      .addColumn('anchor_clock', 'text', (c) => c.notNull())
      .addColumn('anchor_asked_at', 'bigint', (c) => c.notNull())
      .addColumn('anchor_received_at', 'bigint', (c) => c.notNull())
      .addColumn('epoch', 'text', (c) => c.notNull())
      .addColumn('progress', 'text', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('hub_time')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('seen_at', 'bigint', (c) => c.notNull())
      .execute();
  },
};
