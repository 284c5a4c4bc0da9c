// Enrolment groups, and devices that come back after a wipe: which identities a device had before, and keys that are never taken again.
import { createHash } from 'node:crypto';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await createGroupTables(db);
    await createIdentityTables(db);
    await gatherWitnessKeys(db);
    await digestOperationalKeys(db);
  },
};

async function createGroupTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('enrolment_group')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('disabled_reason', 'text')
    .addColumn('terms', 'text', (c) => c.notNull())
    .addColumn('anchor_sha256', 'text')
    .addColumn('subject_sha256', 'text')
    .addColumn('certificate', sql`blob`)
    .addColumn('devices', 'bigint', (c) => c.notNull())
    .addColumn('devices_most', 'bigint')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('enrolment_group_anchor', ['kind', 'anchor_sha256'])
    .execute();
  await db.schema
    .createIndex('enrolment_group_subject')
    .on('enrolment_group')
    .columns(['kind', 'subject_sha256'])
    .execute();
  await db.schema
    .createTable('enrolment_group_join')
    .addColumn('enrolment_group', 'text', (c) => c.notNull().references('enrolment_group.name'))
    .addColumn('device_group', 'text', (c) => c.notNull().references('device_group.name'))
    .addPrimaryKeyConstraint('enrolment_group_join_key', ['enrolment_group', 'device_group'])
    .execute();
  await db.schema
    .createIndex('enrolment_group_join_device_group')
    .on('enrolment_group_join')
    .column('device_group')
    .execute();
  await db.schema
    .createTable('enrolment_group_token')
    .addColumn('sha256', 'text', (c) => c.primaryKey())
    .addColumn('enrolment_group', 'text', (c) => c.notNull().references('enrolment_group.name'))
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .addColumn('uses', 'bigint', (c) => c.notNull())
    .addColumn('uses_most', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('enrolment_group_token_group')
    .on('enrolment_group_token')
    .column('enrolment_group')
    .execute();
  await db.schema
    .createTable('enrolment_listing')
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addColumn('enrolment_group', 'text', (c) => c.references('enrolment_group.name'))
    .addColumn('device_id', 'text')
    .addPrimaryKeyConstraint('enrolment_listing_key', ['kind', 'sha256'])
    .execute();
  await db.schema.createIndex('enrolment_listing_group').on('enrolment_listing').column('enrolment_group').execute();
  await db.schema.createIndex('enrolment_listing_device').on('enrolment_listing').column('device_id').execute();
}

async function createIdentityTables(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('device').addColumn('enrolment_group', 'text').execute();
  await db.schema.createIndex('device_enrolment_group').on('device').columns(['enrolment_group', 'id']).execute();
  await db.schema.alterTable('expected_device').addColumn('site', 'text').execute();
  await db.schema
    .alterTable('device')
    .addColumn('generation', 'integer', (c) => c.notNull().defaultTo(1))
    .execute();
  await db.schema.alterTable('device').addColumn('next_root_sha256', 'text').execute();
  await db.schema.alterTable('certificate').addColumn('spki_sha256', 'text').execute();
  await db.schema
    .alterTable('certificate')
    .addColumn('generation', 'integer', (c) => c.notNull().defaultTo(1))
    .execute();
  await db.schema.createIndex('certificate_spki').on('certificate').column('spki_sha256').execute();
  await db.schema
    .createTable('former_identity')
    .addColumn('device_id', 'text', (c) => c.notNull().references('device.id'))
    .addColumn('generation', 'integer', (c) => c.notNull())
    .addColumn('tier', 'text', (c) => c.notNull())
    .addColumn('identity', 'text', (c) => c.notNull())
    .addColumn('root_sha256', 'text', (c) => c.notNull())
    .addColumn('witness_key', 'text', (c) => c.notNull())
    .addColumn('enrolled_at', 'bigint', (c) => c.notNull())
    .addColumn('ended_at', 'bigint', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('former_identity_key', ['device_id', 'generation'])
    .execute();
  await db.schema.createIndex('former_identity_root').on('former_identity').column('root_sha256').execute();
  await db.schema
    .createTable('witness_key')
    .addColumn('key', 'text', (c) => c.primaryKey())
    .addColumn('device_id', 'text', (c) => c.notNull().references('device.id'))
    .execute();
}

type Written = {
  readonly device: { readonly id: string; readonly witness_key: string };
  readonly witness_key: { readonly key: string; readonly device_id: string };
  readonly certificate: { readonly serial: string; readonly der: Uint8Array; readonly spki_sha256: string | null };
};

// A verifier key's text is name+identifier+key.
async function gatherWitnessKeys(db: Kysely<unknown>): Promise<void> {
  const tables = db.withTables<Written>();
  const devices = await tables
    .selectFrom('device')
    .select(['id', 'witness_key'])
    .where('witness_key', '!=', '')
    .execute();
  for (const { id, witness_key: text } of devices) {
    const key = text.split('+').slice(2).join('+');
    await tables.insertInto('witness_key').values({ key, device_id: id }).execute();
  }
}

async function digestOperationalKeys(db: Kysely<unknown>): Promise<void> {
  const tables = db.withTables<Written>();
  const pageAfter = async (serial: string) =>
    tables
      .selectFrom('certificate')
      .select(['serial', 'der'])
      .where('serial', '>', serial)
      .orderBy('serial')
      .limit(500)
      .execute();
  for (let page = await pageAfter(''); page.length > 0; page = await pageAfter(page.at(-1)?.serial ?? '')) {
    for (const { serial, der } of page) {
      const digest = createHash('sha256').update(parseCertificate(der).spki).digest('hex');
      await tables.updateTable('certificate').set({ spki_sha256: digest }).where('serial', '=', serial).execute();
    }
  }
}
