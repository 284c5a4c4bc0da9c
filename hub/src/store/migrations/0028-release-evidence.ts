// The evidence behind released keys: for each lease what was signed, and by digest the logs and certificates that it needs (spec/receipt.md).
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('release_evidence')
      .addColumn('lease_id', 'text', (c) => c.primaryKey())
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addColumn('granted_at', 'bigint', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('signed', 'blob', (c) => c.notNull())
      .addColumn('signature', 'blob', (c) => c.notNull())
      .addColumn('exporter', 'blob', (c) => c.notNull())
      .addColumn('wraps', 'text')
      .addColumn('ima_entries', 'bigint', (c) => c.notNull())
      .addColumn('ima_value', 'text', (c) => c.notNull())
      .execute();
    await db.schema
      .createIndex('release_evidence_granted')
      .on('release_evidence')
      .columns(['granted_at', 'lease_id'])
      .execute();
    await db.schema
      .createIndex('release_evidence_device')
      .on('release_evidence')
      .columns(['device_id', 'granted_at'])
      .execute();
    await db.schema
      .createTable('evidence_content')
      .addColumn('sha256', 'text', (c) => c.primaryKey())
      .addColumn('size', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('release_evidence_part')
      .addColumn('lease_id', 'text', (c) => c.notNull())
      .addColumn('part', 'text', (c) => c.notNull())
      .addColumn('sha256', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('release_evidence_part_key', ['lease_id', 'part'])
      .execute();
    await db.schema.createIndex('release_evidence_part_content').on('release_evidence_part').column('sha256').execute();
  },
};
