// Requests with an Idempotency-Key that were carried out, and their answers, sealed (spec/idempotency-key.md).
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    const blob = sql`blob`;
    await db.schema
      .createTable('request_key')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('caller', 'text', (c) => c.notNull())
      .addColumn('request', 'text', (c) => c.notNull())
      .addColumn('fingerprint', 'text', (c) => c.notNull())
      .addColumn('begun_at', 'bigint', (c) => c.notNull())
      .addColumn('answer', blob)
      .execute();
    await db.schema.createIndex('request_key_by_caller').on('request_key').columns(['caller', 'begun_at']).execute();
    await db.schema.createIndex('request_key_by_time').on('request_key').column('begun_at').execute();
  },
};
