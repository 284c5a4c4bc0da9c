// The registry as users know it: tags, attributes, groups, history, devices that are expected, roots of trust that are blocked. Whatever a
// filter asks for stands in rows of its own, because engines differ in how they look into JSON.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('device')
      .addColumn('attestation', 'text', (c) => c.notNull().defaultTo('none'))
      .execute();
    await db.schema.alterTable('device').addColumn('disabled_reason', 'text').execute();
    // Appraisals were written by this hub, the status first.
    for (const status of ['affirming', 'warning', 'contraindicated']) {
      const start = `{"status":"${status}"%`;
      await sql`update device set attestation = ${status} where appraisal like ${start}`.execute(db);
    }
    for (const column of ['seen_at', 'enrolled_at', 'state', 'tier', 'attestation']) {
      await db.schema.createIndex(`device_${column}`).on('device').columns([column, 'id']).execute();
    }
    await db.schema
      .createTable('device_tag')
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addColumn('key', 'text', (c) => c.notNull())
      .addColumn('value', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('device_tag_key', ['device_id', 'key'])
      .execute();
    await db.schema.createIndex('device_tag_value').on('device_tag').columns(['key', 'value', 'device_id']).execute();
    await db.schema
      .createTable('device_document')
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addColumn('side', 'text', (c) => c.notNull())
      .addColumn('version', 'bigint', (c) => c.notNull())
      .addColumn('document', 'text', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('device_document_key', ['device_id', 'side'])
      .execute();
    await db.schema
      .createTable('device_attribute')
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addColumn('side', 'text', (c) => c.notNull())
      .addColumn('path', 'text', (c) => c.notNull())
      .addColumn('text_value', 'text')
      .addColumn('number_value', 'double precision')
      .addPrimaryKeyConstraint('device_attribute_key', ['device_id', 'side', 'path'])
      .execute();
    for (const column of ['text_value', 'number_value']) {
      await db.schema
        .createIndex(`device_attribute_${column}`)
        .on('device_attribute')
        .columns(['side', 'path', column, 'device_id'])
        .execute();
    }
    await db.schema
      .createTable('device_history')
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addColumn('log_index', 'bigint', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('from_state', 'text', (c) => c.notNull())
      .addColumn('to_state', 'text', (c) => c.notNull())
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('actor', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('device_history_key', ['device_id', 'log_index'])
      .execute();
    await db.schema
      .createTable('device_group')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('description', 'text', (c) => c.notNull())
      .addColumn('filter', 'text')
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('device_group_member')
      .addColumn('group_name', 'text', (c) => c.notNull().references('device_group.name'))
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('device_group_member_key', ['group_name', 'device_id'])
      .execute();
    await db.schema.createIndex('device_group_member_device').on('device_group_member').column('device_id').execute();
    await db.schema
      .createTable('expected_device')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('root_sha256', 'text', (c) => c.unique())
      .addColumn('imported_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('blocked_root')
      .addColumn('root_sha256', 'text', (c) => c.primaryKey())
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('blocked_at', 'bigint', (c) => c.notNull())
      .execute();
  },
};
