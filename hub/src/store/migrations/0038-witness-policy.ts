// The witness policy that operators set, each version; and by which token a device enrolled, so that one token makes no quorum. Devices of
// before that came by a group's token count together with all of that group: which of its tokens each used was not kept.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('witness_policy')
      .addColumn('version', 'bigint', (c) => c.primaryKey())
      .addColumn('document', 'text', (c) => c.notNull())
      .addColumn('applied_at', 'bigint', (c) => c.notNull())
      .addColumn('applied_by', 'text', (c) => c.notNull())
      .execute();
    await db.schema
      .alterTable('device')
      .addColumn('witness_origin', 'text', (c) => c.notNull().defaultTo(''))
      .execute();
    await sql`update device set witness_origin = 'group ' || enrolment_group
      where enrolment_group is not null
        and enrolment_group not in (select name from enrolment_group where kind <> 'token')`.execute(db);
  },
};
