// What authority is read from when the act happens: where a kept request came from, an index that tells whether reference values changed, and which
// token made which.
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('approval').addColumn('address', 'text').execute();
    await db.schema
      .createIndex('reference_values_withdrawn')
      .on('reference_values')
      .columns(['withdrawn_at'])
      .execute();
    await bootstrap(db);
    await makers(db);
  },
};

// The token that `hub init` made; when a person claimed it, the hash of that person's own.
async function bootstrap(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('api_token')
    .addColumn('bootstrap', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema.alterTable('api_token').addColumn('claimed_as', 'text').execute();
  await sql`update api_token set bootstrap = 1 where created_by = 'hub'`.execute(db);
  // Before there were people nobody wrote down who made a token: the first one of a store is that of its \`hub init\`.
  await sql`
    update api_token set bootstrap = 1
    where created_by = '' and person is not null and created_at = (select min(created_at) from api_token)`.execute(db);
}

// Until now a token that an administrator made for itself, or for a service, stood alone. Its maker is the token of the name in `created_by`: of
// several the newest that was there before it, and one that was still valid before one that was not.
async function makers(db: Kysely<unknown>): Promise<void> {
  await sql`
    update api_token as child set derived_from = (
      select maker.sha256 from api_token as maker
      where 'person:' || maker.person || '/' || maker.name = child.created_by
        and maker.sha256 <> child.sha256 and maker.created_at <= child.created_at and maker.expires_at > child.created_at
        and (maker.created_at < child.created_at or maker.sha256 < child.sha256)
      order by maker.revoked_at is null desc, maker.created_at desc, maker.sha256 limit 1)
    where derived_from is null
      and (person is null or created_by like 'person:' || person || '/%')`.execute(db);
  await endFamilies(db, 'people');
  // A service whose maker has ended already goes on, with an alert, until two people hand it over: it may be what a plant runs on.
  await sql`
    update api_token set derived_from = null
    where person is null and derived_from in
      (select sha256 from api_token where revoked_at is not null or expires_at <= ${Date.now()})`.execute(db);
  await endFamilies(db, 'everybody');
}

// A child ends with its eldest. Services come second: what ended their makers just now did not end them before.
async function endFamilies(db: Kysely<unknown>, whose: 'people' | 'everybody'): Promise<void> {
  const limit = whose === 'people' ? sql`where child.person is not null` : sql``;
  const family = sql`with recursive family (sha256, ends, revoked) as (
    select sha256, expires_at, revoked_at from api_token where derived_from is null
    union all
    select child.sha256, min(child.expires_at, family.ends), coalesce(child.revoked_at, family.revoked)
    from api_token as child join family on child.derived_from = family.sha256 ${limit})`;
  await sql`${family} update api_token set expires_at = (select ends from family where family.sha256 = api_token.sha256),
      revoked_at = (select revoked from family where family.sha256 = api_token.sha256)
    where sha256 in (select sha256 from family) and derived_from is not null`.execute(db);
}
