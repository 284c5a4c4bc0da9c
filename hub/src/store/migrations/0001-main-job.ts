// The first schema: everything the main job needs.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    const blob = sql`blob`;
    await db.schema
      .createTable('device')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('tier', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('state_reason', 'text', (c) => c.notNull())
      .addColumn('identity', 'text', (c) => c.notNull())
      .addColumn('root_sha256', 'text', (c) => c.notNull().unique())
      .addColumn('witness_key', 'text', (c) => c.notNull())
      .addColumn('enrolled_at', 'bigint', (c) => c.notNull())
      .addColumn('seen_at', 'bigint', (c) => c.notNull())
      .addColumn('reset_count', 'bigint', (c) => c.notNull())
      .addColumn('appraisal', 'text')
      .addColumn('appraised_at', 'bigint')
      .addColumn('counts', 'text')
      .execute();
    await db.schema
      .createTable('certificate')
      .addColumn('serial', 'text', (c) => c.primaryKey())
      .addColumn('device_id', 'text', (c) => c.notNull().references('device.id'))
      .addColumn('sha256', 'text', (c) => c.notNull().unique())
      .addColumn('der', blob, (c) => c.notNull())
      .addColumn('not_before', 'bigint', (c) => c.notNull())
      .addColumn('not_after', 'bigint', (c) => c.notNull())
      .addColumn('revoked_at', 'bigint')
      .execute();
    await db.schema.createIndex('certificate_device').on('certificate').column('device_id').execute();
    await db.schema
      .createTable('enrolment_token')
      .addColumn('sha256', 'text', (c) => c.primaryKey())
      .addColumn('device_id', 'text')
      .addColumn('tier', 'text')
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .addColumn('used_by', 'text')
      .execute();
    await db.schema
      .createTable('api_token')
      .addColumn('sha256', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('scopes', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .addColumn('revoked_at', 'bigint')
      .execute();
    await db.schema
      .createTable('publisher')
      .addColumn('fingerprint', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('public_key', 'text', (c) => c.notNull())
      .addColumn('added_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('model_release')
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('version', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('manifest', blob, (c) => c.notNull())
      .addColumn('manifest_digest', 'text', (c) => c.notNull())
      .addColumn('signature', 'text', (c) => c.notNull())
      .addColumn('publisher', 'text', (c) => c.notNull().references('publisher.fingerprint'))
      .addColumn('wrapped_key', blob, (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('published_at', 'bigint')
      .addPrimaryKeyConstraint('model_release_key', ['name', 'version'])
      .execute();
    await db.schema
      .createTable('model_file')
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('version', 'text', (c) => c.notNull())
      .addColumn('path', 'text', (c) => c.notNull())
      .addColumn('sealed_sha256', 'text', (c) => c.notNull())
      .addColumn('sealed_size', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('model_file_key', ['name', 'version', 'path'])
      .execute();
    await db.schema
      .createTable('reference_values')
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('version', 'text', (c) => c.notNull())
      .addColumn('document', blob, (c) => c.notNull())
      .addColumn('signature', 'text', (c) => c.notNull())
      .addColumn('publisher', 'text', (c) => c.notNull().references('publisher.fingerprint'))
      .addColumn('published_at', 'bigint', (c) => c.notNull())
      .addColumn('withdrawn_at', 'bigint')
      .addPrimaryKeyConstraint('reference_values_key', ['name', 'version'])
      .execute();
    await db.schema
      .createTable('policy')
      .addColumn('version', 'integer', (c) => c.primaryKey())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('text', 'text', (c) => c.notNull())
      .addColumn('applied_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('lease')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('device_id', 'text', (c) => c.notNull().references('device.id'))
      .addColumn('model', 'text', (c) => c.notNull())
      .addColumn('version', 'text', (c) => c.notNull())
      .addColumn('document', 'text', (c) => c.notNull())
      .addColumn('not_after', 'bigint', (c) => c.notNull())
      .addColumn('revoked_at', 'bigint')
      .addColumn('log_index', 'bigint', (c) => c.notNull())
      .addColumn('attestation_result', 'text', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('lease_device').on('lease').columns(['device_id', 'not_after']).execute();
    await db.schema
      .createTable('audit_entry')
      .addColumn('log_index', 'bigint', (c) => c.primaryKey())
      .addColumn('entry', blob, (c) => c.notNull())
      .addColumn('leaf_hash', blob, (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('audit_checkpoint')
      .addColumn('size', 'bigint', (c) => c.primaryKey())
      .addColumn('note', blob, (c) => c.notNull())
      .execute();
  },
};
