// Upcoming ends (spec/revocation.md, "What ends when"): the authorities, the hub's own certificates, and the devices that are nearest to
// their end without having renewed.
import type { Certificate } from '@edgekeep/core/identity/certificate';
import type { Expiry, ExpiryItem } from '@edgekeep/wire/api/revocation';
import { type Kysely, sql } from 'kysely';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

// The page is for people: the counts show a fleet in trouble.
const DEVICES_SHOWN_MAX = 20;
const dayMs = 86_400_000;

export interface OwnCertificate {
  readonly name: string;
  readonly certificate: Certificate;
}

export async function expiryOf(
  database: Pick<Database, 'read' | 'readApart'>,
  own: readonly OwnCertificate[],
  at: { readonly nowMs: number; readonly warningDays: number },
): Promise<Expiry> {
  const item = (name: string, notBefore: number, notAfter: number): ExpiryItem => ({
    name,
    notAfter,
    ended: notAfter < at.nowMs,
    // A device renews at two thirds of its certificate's life: a device in the last sixth has missed it for a while.
    warning: at.nowMs > notAfter - Math.min(at.warningDays * dayMs, (notAfter - notBefore) / 6),
  });
  const newest = newestCertificates(database.readApart);
  const first = await newest.selectAll().orderBy('notAfter').limit(DEVICES_SHOWN_MAX).execute();
  const ended = sql<boolean>`"notAfter" < ${at.nowMs}`;
  // As in `item`.
  const [wanted, sixth] = [sql`${at.warningDays * dayMs}`, sql`("notAfter" - "notBefore") / 6.0`];
  const lead = sql`case when ${wanted} < ${sixth} then ${wanted} else ${sixth} end`;
  const warned = sql<boolean>`${at.nowMs} > "notAfter" - ${lead}`;
  const counts = await newest
    .select([
      sql<number>`count(*) filter (where ${ended})`.as('ended'),
      sql<number>`count(*) filter (where ${warned} and not ${ended})`.as('warned'),
    ])
    .executeTakeFirstOrThrow();
  return {
    hub: own.map(({ name, certificate: { notBeforeSeconds, notAfterSeconds } }) =>
      item(name, notBeforeSeconds * 1_000, notAfterSeconds * 1_000),
    ),
    devices: first.map(({ id, notBefore, notAfter }) => item(id, notBefore, notAfter)),
    devicesWarned: counts.warned,
    devicesEnded: counts.ended,
    tokens: await tokensByEnd(database, item, at.nowMs),
  };
}

// One row for each device that may connect: begin and end of its newest certificate.
function newestCertificates(db: Kysely<Tables>) {
  const rows = db
    .selectFrom('certificate')
    .innerJoin('device', 'device.id', 'certificate.device_id')
    .select((q) => [
      'certificate.device_id as id',
      q.fn.max('certificate.not_after').as('notAfter'),
      q.fn.max('certificate.not_before').as('notBefore'),
    ])
    .where('certificate.revoked_at', 'is', null)
    .where('certificate.workload', 'is', null)
    .where('device.state', 'in', ['registered', 'active', 'suspect'])
    .groupBy('certificate.device_id');
  return db.selectFrom(rows.as('newest'));
}

// A token that has ended is useless, and its owner has noticed.
async function tokensByEnd(
  { read }: Pick<Database, 'read'>,
  item: (name: string, notBefore: number, notAfter: number) => ExpiryItem,
  nowMs: number,
): Promise<ExpiryItem[]> {
  const rows = await read
    .selectFrom('api_token')
    .select(['name', 'person', 'created_at as createdAt', 'expires_at as expiresAt'])
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', nowMs)
    .orderBy('expires_at')
    .limit(DEVICES_SHOWN_MAX)
    .execute();
  return rows.map(({ name, person, createdAt, expiresAt }) =>
    item(`${person ?? 'service'}/${name}`, createdAt, expiresAt),
  );
}
