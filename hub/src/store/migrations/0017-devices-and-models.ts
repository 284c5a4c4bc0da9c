// What devices say of their models and clocks, when leases were granted and from where, and which groups a model is for.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await deviceModels(db);
    await leases(db);
    await db.schema.alterTable('device').addColumn('clock_skew_seconds', 'bigint').execute();
    await db.schema
      .createTable('model_group')
      .addColumn('model', 'text', (c) => c.notNull())
      .addColumn('group_name', 'text', (c) => c.notNull())
      .addColumn('assigned_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('model_group_key', ['model', 'group_name'])
      .execute();
    await db.schema.createIndex('model_group_group').on('model_group').column('group_name').execute();
  },
};

async function deviceModels(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('device_model')
    .addColumn('device_id', 'text', (c) => c.notNull())
    .addColumn('model', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('version', 'text')
    .addColumn('manifest_digest', 'text')
    .addColumn('fault_version', 'text')
    .addColumn('fault_digest', 'text')
    .addColumn('fault_code', 'text')
    .addColumn('fault_place', 'text')
    .addColumn('fault_message', 'text')
    .addColumn('fault_attempts', 'integer')
    .addColumn('fault_kind', 'text')
    .addColumn('fault_since', 'bigint')
    .addColumn('retry', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('retried', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('changed_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('device_model_key', ['device_id', 'model'])
    .execute();
  await db.schema.createIndex('device_model_model').on('device_model').columns(['model', 'device_id']).execute();
  await db.schema.createIndex('device_model_fault').on('device_model').columns(['fault_code', 'device_id']).execute();
}

async function leases(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('lease').addColumn('granted_at', 'bigint').execute();
  await db.schema.alterTable('lease').addColumn('address', 'text').execute();
  await db.schema.alterTable('lease').addColumn('round_trip_ms', 'integer').execute();
  await db.schema.createIndex('lease_granted').on('lease').columns(['device_id', 'model', 'granted_at']).execute();
}
