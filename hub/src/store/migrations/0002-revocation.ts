// Revocation: the reason beside the date, the counter that every hub node follows, and the hub's own certificates.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('certificate').addColumn('revocation_reason', 'text').execute();
    await db.schema.createIndex('certificate_revoked').on('certificate').columns(['revoked_at', 'serial']).execute();
    await db.schema
      .createTable('revocation_state')
      .addColumn('id', 'integer', (c) => c.primaryKey())
      .addColumn('version', 'bigint', (c) => c.notNull())
      .addColumn('crl_number', 'bigint', (c) => c.notNull())
      .execute();
    await sql`insert into revocation_state (id, version, crl_number) values (1, 0, 0)`.execute(db);
    await db.schema
      .createTable('revocation')
      .addColumn('version', 'bigint', (c) => c.notNull())
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addColumn('serial', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('revocation_key', ['version', 'device_id', 'serial'])
      .execute();
    await db.schema
      .createTable('hub_certificate')
      .addColumn('serial', 'text', (c) => c.primaryKey())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('sha256', 'text', (c) => c.notNull().unique())
      .addColumn('der', sql`blob`, (c) => c.notNull())
      .addColumn('not_before', 'bigint', (c) => c.notNull())
      .addColumn('not_after', 'bigint', (c) => c.notNull())
      .execute();
  },
};
