// What the hub remembers for a device that loses its state folder: the newest checkpoint that the device cosigned; and the witness keys that it
// had before the present one.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('device_witnessed')
      .addColumn('device_id', 'text', (c) => c.primaryKey())
      .addColumn('size', 'bigint', (c) => c.notNull())
      .addColumn('note', 'blob', (c) => c.notNull())
      .addColumn('witnessed_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('former_witness_key')
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addColumn('number', 'bigint', (c) => c.notNull())
      .addColumn('tier', 'text', (c) => c.notNull())
      .addColumn('witness_key', 'text', (c) => c.notNull())
      .addColumn('ended_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('former_witness_key_primary', ['device_id', 'number'])
      .execute();
  },
};
