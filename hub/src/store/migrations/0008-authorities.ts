// Several authorities: roots with the links between them, issuing CAs with their lives, who issued which certificate, which devices know
// which root, and the alarms that were raised. What an earlier version kept in files moves in at the next start (authority/state.ts).
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('root_authority')
      .addColumn('sha256', 'text', (c) => c.primaryKey())
      .addColumn('generation', 'integer', (c) => c.notNull().unique())
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('der', sql`blob`, (c) => c.notNull())
      .addColumn('new_with_old', sql`blob`)
      .addColumn('old_with_new', sql`blob`)
      .addColumn('list', sql`blob`)
      .addColumn('added_at', 'bigint', (c) => c.notNull())
      .addColumn('overlap_ends_at', 'bigint')
      .execute();
    await db.schema
      .createTable('issuing_authority')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('root_sha256', 'text')
      .addColumn('request', sql`blob`)
      .addColumn('der', sql`blob`)
      .addColumn('added_at', 'bigint', (c) => c.notNull())
      .addColumn('activates_at', 'bigint')
      .addColumn('activated_at', 'bigint')
      .addColumn('ended_at', 'bigint')
      .addColumn('revocation_reason', 'text')
      .addColumn('final_list', sql`blob`)
      .execute();
    await db.schema
      .createTable('device_root')
      .addColumn('device_id', 'text', (c) => c.primaryKey())
      .addColumn('generation', 'integer', (c) => c.notNull())
      .addColumn('reported_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('expiry_alarm')
      .addColumn('sha256', 'text', (c) => c.notNull())
      .addColumn('days', 'integer', (c) => c.notNull())
      .addColumn('raised_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('expiry_alarm_key', ['sha256', 'days'])
      .execute();
    for (const table of ['certificate', 'hub_certificate'] as const) {
      await db.schema
        .alterTable(table)
        .addColumn('issuer', 'text', (c) => c.notNull().defaultTo(''))
        .execute();
    }
    await db.schema.dropIndex('certificate_revoked').execute();
    await db.schema
      .createIndex('certificate_revoked')
      .on('certificate')
      .columns(['issuer', 'revoked_at', 'serial'])
      .execute();
    await db.schema.createIndex('certificate_issuer_end').on('certificate').columns(['issuer', 'not_after']).execute();
  },
};
