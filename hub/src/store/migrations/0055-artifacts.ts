// Sealed files whose parts are objects of a bucket: which objects make up a file, and what arrived of an upload (docs/artifacts.md).
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('artifact_file')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('upload', 'text', (c) => c.unique())
      .addColumn('writer', 'text', (c) => c.notNull())
      .addColumn('sha256', 'text')
      .addColumn('size', 'bigint')
      .addColumn('part_bytes', 'bigint', (c) => c.notNull())
      .addColumn('block_bytes', 'bigint', (c) => c.notNull())
      .addColumn('touched_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('artifact_file_sha256').on('artifact_file').columns(['sha256', 'state']).execute();
    await db.schema.createIndex('artifact_file_state').on('artifact_file').columns(['state', 'touched_at']).execute();
    await db.schema
      .createTable('artifact_part')
      .addColumn('file', 'text', (c) => c.notNull())
      .addColumn('number', 'bigint', (c) => c.notNull())
      .addColumn('sha256', 'text', (c) => c.notNull())
      .addColumn('size', 'bigint', (c) => c.notNull())
      .addColumn('blocks', 'blob', (c) => c.notNull())
      .addPrimaryKeyConstraint('artifact_part_key', ['file', 'number'])
      .execute();
  },
};
