// The IDevIDs that devices have proven: each of one device, and no two with one serial number of one authority.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('device_idevid')
      .addColumn('device_id', 'text', (c) => c.primaryKey())
      .addColumn('sha256', 'text', (c) => c.notNull().unique())
      .addColumn('issuer_sha256', 'text', (c) => c.notNull())
      .addColumn('anchor_sha256', 'text', (c) => c.notNull())
      .addColumn('serial_folded', 'text', (c) => c.notNull())
      .addColumn('serial_number', 'text', (c) => c.notNull())
      .addColumn('issuer', 'text', (c) => c.notNull())
      .addColumn('hardware_type', 'text', (c) => c.notNull())
      .addColumn('hardware_serial', 'text', (c) => c.notNull())
      .addColumn('der', 'blob', (c) => c.notNull())
      .addColumn('proven_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('device_idevid_serial', ['serial_folded', 'issuer_sha256'])
      .execute();
  },
};
