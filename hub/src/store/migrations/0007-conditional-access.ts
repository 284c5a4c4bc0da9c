// What conditions of access are made of: sites where devices stand, countries of networks, decisions that were made. Policies from before
// this keep their meaning: what they say of any action, they say of keys.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('site')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('description', 'text', (c) => c.notNull())
      .addColumn('time_zone', 'text', (c) => c.notNull())
      .addColumn('networks', 'text', (c) => c.notNull())
      .addColumn('country', 'text')
      .addColumn('latitude', 'double precision')
      .addColumn('longitude', 'double precision')
      .addColumn('radius_metres', 'bigint')
      .addColumn('zone', 'text')
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema.alterTable('device').addColumn('site', 'text').execute();
    await db.schema.createIndex('device_site').on('device').columns(['site', 'id']).execute();
    await db.schema
      .createTable('country_network')
      .addColumn('network', 'text', (c) => c.primaryKey())
      .addColumn('country', 'text', (c) => c.notNull())
      .execute();
    await db.schema
      .alterTable('policy')
      .addColumn('meaning', 'text', (c) => c.notNull().defaultTo('release-only'))
      .execute();
    await db.schema.alterTable('policy').addColumn('tests', 'text').execute();
    await db.schema
      .alterTable('policy')
      .addColumn('applied_by', 'text', (c) => c.notNull().defaultTo(''))
      .execute();
    await db.schema
      .createTable('access_decision')
      .addColumn('number', 'bigint', (c) => c.primaryKey())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('action', 'text', (c) => c.notNull())
      .addColumn('principal', 'text', (c) => c.notNull())
      .addColumn('permitted', 'integer', (c) => c.notNull())
      .addColumn('policy_version', 'bigint', (c) => c.notNull())
      .addColumn('statements', 'text', (c) => c.notNull())
      .addColumn('question', 'text', (c) => c.notNull())
      .execute();
    await db.schema
      .createIndex('access_decision_principal')
      .on('access_decision')
      .columns(['principal', 'number'])
      .execute();
  },
};
