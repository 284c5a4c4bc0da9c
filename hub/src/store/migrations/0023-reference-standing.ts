// Reference values for some devices: the product that a device's IDevID names, and the values that its boot matches.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('device').addColumn('product', 'text').execute();
    await db.schema.alterTable('device').addColumn('booted', 'text').execute();
    // Counted by the alert about superseded releases.
    await db.schema.createIndex('device_booted').on('device').column('booted').execute();
  },
};
