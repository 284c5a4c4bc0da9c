// Secrets of devices that sign tokens instead of holding a certificate, and the tokens that were used already.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('device_secret')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('device_id', 'text', (c) => c.notNull().references('device.id'))
      .addColumn('wrapped_secret', sql`blob`, (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint')
      .execute();
    await db.schema.createIndex('device_secret_device').on('device_secret').column('device_id').execute();
    await db.schema
      .createTable('used_token')
      .addColumn('sha256', 'text', (c) => c.primaryKey())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('used_token_expiry').on('used_token').column('expires_at').execute();
  },
};
