// By what a secure element has its tier. One that enrolled by its IDevID before manufacturers certified the keys beside it was vouched for by
// nobody; one without an IDevID, or with a token for the tier, by the operator who made the token.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('device').addColumn('tier_vouched', 'text').execute();
    await sql`update device set tier_vouched = 'token'
      where tier = 'secure-element'
        and (id not in (select device_id from device_idevid)
          or id in (select used_by from enrolment_token where used_by is not null and tier = 'secure-element'))`.execute(
      db,
    );
  },
};
