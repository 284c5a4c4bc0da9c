// Alerts: what somebody should look at. At most one stands for each cause; the same again is counted on it.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('alert')
      .addColumn('id', 'bigint', (c) => c.primaryKey())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('severity', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('subject', 'text', (c) => c.notNull())
      .addColumn('device_id', 'text')
      .addColumn('cause', 'text', (c) => c.notNull())
      .addColumn('title', 'text', (c) => c.notNull())
      .addColumn('data', 'text', (c) => c.notNull())
      .addColumn('first_seen', 'bigint', (c) => c.notNull())
      .addColumn('last_seen', 'bigint', (c) => c.notNull())
      .addColumn('count', 'bigint', (c) => c.notNull())
      .addColumn('state_by', 'text')
      .addColumn('state_at', 'bigint')
      .addColumn('note', 'text')
      .execute();
    await sql`create unique index alert_standing on alert (cause) where state <> 'closed'`.execute(db);
    await db.schema.createIndex('alert_state').on('alert').columns(['state', 'id']).execute();
    await db.schema.createIndex('alert_device').on('alert').columns(['device_id', 'state']).execute();
  },
};
