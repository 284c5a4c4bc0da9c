// IMA policies (spec/ima-policy.md), and what they found in the part of each device's log that is not sent again.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('ima_policy')
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('version', 'text', (c) => c.notNull())
      .addColumn('document', 'blob', (c) => c.notNull())
      .addColumn('signature', 'text', (c) => c.notNull())
      .addColumn('publisher', 'text', (c) => c.notNull())
      .addColumn('published_at', 'bigint', (c) => c.notNull())
      .addColumn('withdrawn_at', 'bigint')
      .addPrimaryKeyConstraint('ima_policy_key', ['name', 'version'])
      .execute();
    for (const column of ['policy_state', 'findings', 'start_findings'] as const) {
      const empty = column === 'policy_state' ? '0 0' : '[]';
      await db.schema
        .alterTable('ima_log')
        .addColumn(column, 'text', (c) => c.notNull().defaultTo(empty))
        .execute();
    }
  },
};
