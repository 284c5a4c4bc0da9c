// People who hold API tokens, requests that wait for a second person, and workloads with certificates of their own.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await people(db);
    await approvals(db);
    await workloads(db);
  },
};

// Tokens from before have no owner: those that may do everything are given to a person `admin`, the others are services.
async function people(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('person')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('added_at', 'bigint', (c) => c.notNull())
    .addColumn('disabled_at', 'bigint')
    .addColumn('disabled_reason', 'text')
    .execute();
  for (const column of ['person', 'derived_from', 'last_used_from'] as const) {
    await db.schema.alterTable('api_token').addColumn(column, 'text').execute();
  }
  for (const column of ['roles', 'created_by'] as const) {
    await db.schema
      .alterTable('api_token')
      .addColumn(column, 'text', (c) => c.notNull().defaultTo(''))
      .execute();
  }
  await db.schema.alterTable('api_token').addColumn('last_used_at', 'bigint').execute();
  await db.schema.createIndex('api_token_name').on('api_token').column('name').execute();
  await db.schema.createIndex('api_token_person').on('api_token').column('person').execute();
  const all = sql`(' ' || scopes || ' ') like '% admin %'`;
  await sql`insert into person (name, added_at) select 'admin', min(created_at) from api_token where ${all} having count(*) > 0`.execute(
    db,
  );
  await sql`update api_token set person = 'admin' where ${all}`.execute(db);
}

async function approvals(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('approval')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('operation', 'text', (c) => c.notNull())
    .addColumn('scope', 'text', (c) => c.notNull())
    .addColumn('method', 'text', (c) => c.notNull())
    .addColumn('path', 'text', (c) => c.notNull())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('person', 'text', (c) => c.notNull().references('person.name'))
    .addColumn('token_sha256', 'text', (c) => c.notNull().references('api_token.sha256'))
    .addColumn('requested_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('decided_by', 'text')
    .addColumn('decided_at', 'bigint')
    .addColumn('reason', 'text')
    .addColumn('answered_status', 'integer')
    .execute();
  await db.schema.createIndex('approval_state').on('approval').columns(['state', 'requested_at']).execute();
}

async function workloads(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('workload_declaration')
    .addColumn('target_kind', 'text', (c) => c.notNull())
    .addColumn('target', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('declared_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('workload_declaration_key', ['target_kind', 'target', 'name'])
    .execute();
  await db.schema
    .createTable('workload')
    .addColumn('device_id', 'text', (c) => c.notNull().references('device.id'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('registered_at', 'bigint')
    .addColumn('disabled_reason', 'text')
    .addPrimaryKeyConstraint('workload_key', ['device_id', 'name'])
    .execute();
  await db.schema
    .createTable('workload_history')
    .addColumn('device_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('log_index', 'bigint', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('change', 'text', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('workload_history_key', ['device_id', 'name', 'log_index'])
    .execute();
  await db.schema.alterTable('certificate').addColumn('workload', 'text').execute();
}
