// Enrollment groups (spec/enrollment-groups.md): devices that come with one kind of proof, what they must fulfill, and what each of them
// gets.
import { forgetListed } from '../registry/import-listing.ts';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, parseForeignCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { canonicalName } from '@edgekeep/core/identity/distinguished-name';
import { parsePem } from '@edgekeep/core/identity/pem';
import { type EnrollmentGroupKind, ENROLLMENT_GROUPS_MAX, type GroupTerms } from '@edgekeep/wire/api/enrollment-group';
import type { Kysely } from 'kysely';
import { sha256Hex } from '@edgekeep/core/digest';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { getSite } from '../site/sites.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { EnrollmentGroupRow } from '../store/tables/enrollment.ts';
import type { Tables } from '../store/schema.ts';

export interface EnrollmentGroupOrder {
  readonly name: string;
  readonly kind: EnrollmentGroupKind;
  readonly description: string;
  /** PEM of one authority. */
  readonly certificate?: string | undefined;
  /** Of an authority whose certificate the hub has among its vendor roots. */
  readonly authoritySha256?: string | undefined;
  readonly maxDevices?: number | undefined;
  readonly groups: readonly string[];
  readonly terms: GroupTerms;
  readonly actor: string;
  readonly nowMs: number;
}

export async function createEnrollmentGroup(
  database: Database,
  order: EnrollmentGroupOrder,
): Promise<EnrollmentGroupRow> {
  const { name, kind, description, terms, actor, nowMs } = order;
  const authority = order.certificate === undefined ? undefined : authorityIn(order.certificate);
  const row: EnrollmentGroupRow = {
    name,
    kind,
    description,
    disabled_reason: null,
    terms: JSON.stringify(terms),
    anchor_sha256: authority === undefined ? (order.authoritySha256 ?? null) : sha256Hex(authority.spki),
    subject_sha256: authority === undefined ? null : sha256Hex(canonicalName(authority.subject)),
    certificate: authority?.der ?? null,
    devices: 0,
    devices_most: order.maxDevices ?? null,
    created_at: nowMs,
  };
  const joins = [...new Set(order.groups)].map((group) => ({ enrolment_group: name, device_group: group }));
  return database.write(async (trx) => {
    await assertNew(trx, row);
    await assertNamed(trx, order.groups);
    if (terms.site !== undefined) await getSite(trx, terms.site);
    await trx.insertInto('enrolment_group').values(row).execute();
    if (joins.length > 0) await trx.insertInto('enrolment_group_join').values(joins).execute();
    const data = {
      kind,
      authority: row.anchor_sha256,
      devicesMost: row.devices_most,
      needsToken: terms.needsToken,
      terms: sha256Hex(row.terms),
    };
    await appendEntry(trx, { at: nowMs, kind: 'enrolment-group-created', actor, subject: subjectOf(name), data });
    return row;
  });
}

export interface GroupRequest {
  readonly name: string;
  readonly actor: string;
  readonly nowMs: number;
}

/** No device enrolls by it until it is enabled again; devices that have enrolled by it are unchanged. */
export async function disableEnrollmentGroup(
  database: Database,
  order: GroupRequest & { readonly reason: string },
): Promise<void> {
  await switchGroup(database, order, order.reason);
}

export async function enableEnrollmentGroup(database: Database, order: GroupRequest): Promise<void> {
  await switchGroup(database, order, null);
}

async function switchGroup(
  database: Database,
  { name, actor, nowMs }: GroupRequest,
  reason: string | null,
): Promise<void> {
  await database.write(async (trx) => {
    const group = await getEnrollmentGroup(trx, name);
    if (group.disabled_reason === reason) return;
    await trx.updateTable('enrolment_group').set({ disabled_reason: reason }).where('name', '=', name).execute();
    const kind = reason === null ? 'enrolment-group-enabled' : 'enrolment-group-disabled';
    const data = reason === null ? {} : { reason };
    await appendEntry(trx, { at: nowMs, kind, actor, subject: subjectOf(name), data });
  });
}

/** Changes how many devices may enroll by it in total. Enrolled devices stay, even if the new limit is lower. */
export async function limitEnrollmentGroup(
  database: Database,
  order: GroupRequest & { readonly maxDevices: number | null },
): Promise<EnrollmentGroupRow> {
  const { name, maxDevices, actor, nowMs } = order;
  return database.write(async (trx) => {
    const group = await getEnrollmentGroup(trx, name);
    await trx.updateTable('enrolment_group').set({ devices_most: maxDevices }).where('name', '=', name).execute();
    const data = { from: group.devices_most, to: maxDevices };
    await appendEntry(trx, { at: nowMs, kind: 'enrolment-group-limited', actor, subject: subjectOf(name), data });
    return { ...group, devices_most: maxDevices };
  });
}

/** Ends the group with its tokens and its list; devices that have enrolled by it stay. */
export async function deleteEnrollmentGroup(database: Database, { name, actor, nowMs }: GroupRequest): Promise<void> {
  await database.write(async (trx) => {
    const { kind, devices } = await getEnrollmentGroup(trx, name);
    await trx.deleteFrom('enrolment_group_join').where('enrolment_group', '=', name).execute();
    await trx.deleteFrom('enrolment_group_token').where('enrolment_group', '=', name).execute();
    await forgetListed(trx, name);
    await trx.deleteFrom('enrolment_group').where('name', '=', name).execute();
    const data = { kind, devices };
    await appendEntry(trx, { at: nowMs, kind: 'enrolment-group-deleted', actor, subject: subjectOf(name), data });
  });
}

/** By name, those after `after`. */
export async function listEnrollmentGroups(
  db: Kysely<Tables>,
  page: { readonly after: string; readonly limit: number },
): Promise<readonly EnrollmentGroupRow[]> {
  return db
    .selectFrom('enrolment_group')
    .selectAll()
    .where('name', '>', page.after)
    .orderBy('name')
    .limit(page.limit)
    .execute();
}

export async function getEnrollmentGroup(db: Kysely<Tables>, name: string): Promise<EnrollmentGroupRow> {
  const row = await db.selectFrom('enrolment_group').selectAll().where('name', '=', name).executeTakeFirst();
  if (row !== undefined) return row;
  throw new HubError('not-found', `no enrollment group ${name}: \`edgekeep enrollment-group list\` shows all`);
}

/** The device groups that its devices join. */
export async function joinsOf(db: Kysely<Tables>, name: string): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('enrolment_group_join')
    .select('device_group')
    .where('enrolment_group', '=', name)
    .orderBy('device_group')
    .execute();
  return rows.map((row) => row.device_group);
}

/** The number of digests in its list. */
export async function listedBy(db: Kysely<Tables>, name: string): Promise<number> {
  const { listed } = await db
    .selectFrom('enrolment_listing')
    .select((q) => q.fn.countAll<number>().as('listed'))
    .where('enrolment_group', '=', name)
    .executeTakeFirstOrThrow();
  return listed;
}

async function assertNew(trx: WriteTransaction, row: EnrollmentGroupRow): Promise<void> {
  const same = await trx.selectFrom('enrolment_group').select('name').where('name', '=', row.name).executeTakeFirst();
  if (same !== undefined)
    throw new HubError(
      'conflict',
      `enrollment group ${row.name} exists already: \`edgekeep enrollment-group list\` shows all`,
    );
  if (row.anchor_sha256 !== null) {
    const other = await trx
      .selectFrom('enrolment_group')
      .select('name')
      .where('kind', '=', row.kind)
      .where('anchor_sha256', '=', row.anchor_sha256)
      .executeTakeFirst();
    if (other !== undefined) throw new HubError('conflict', `this authority already belongs to ${other.name}`);
  }
  const { groups } = await trx
    .selectFrom('enrolment_group')
    .select((q) => q.fn.countAll<number>().as('groups'))
    .executeTakeFirstOrThrow();
  if (groups >= ENROLLMENT_GROUPS_MAX)
    throw new HubError('conflict', `there are ${ENROLLMENT_GROUPS_MAX} enrollment groups, which is the limit`);
}

async function assertNamed(trx: WriteTransaction, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const group = await trx.selectFrom('device_group').select('filter').where('name', '=', name).executeTakeFirst();
    if (group === undefined || group.filter !== null)
      throw new HubError('not-found', `no group ${name} with named members: \`edgekeep group create ${name}\``);
  }
}

// An authority that will vouch for devices is checked more strictly than a path needs: nothing else checks it before the first device
// comes.
function authorityIn(pem: string): Certificate {
  const ders = parsePem(pem, 'CERTIFICATE');
  const [der] = ders;
  if (der === undefined || ders.length !== 1)
    throw new HubError(
      'request-invalid',
      `expected one certificate, found ${ders.length}: make one group for each authority`,
    );
  const certificate = parseForeignCertificate(der);
  publicKeyOf(certificate);
  const { basicConstraints, keyUsage } = certificate.extensions;
  if (basicConstraints?.authority !== true || keyUsage?.includes('keyCertSign') === false) {
    const digest = toHex(certificate.serial);
    throw new HubError(
      'request-invalid',
      `the certificate ${digest} does not belong to an authority that issues certificates`,
    );
  }
  return certificate;
}

// The log keeps the names that it began with (spec/api.md, "What is logged").
const subjectOf = (name: string) => `enrolment-group:${name}`;
