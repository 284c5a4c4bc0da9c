// Which enrollment group a new device belongs to (spec/enrollment-groups.md, "Which group"), and what it gets from it. Groups are looked up
// by what the device has proven: only the groups that this names are read, for any number of groups.
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { canonicalName } from '@edgekeep/core/identity/distinguished-name';
import { type GroupTerms, groupTerms } from '@edgekeep/wire/api/enrollment-group';
import type { Kysely } from 'kysely';
import { sha256Hex } from '@edgekeep/core/digest';
import { HubError } from '../common/error.ts';
import type { EnrollmentGroupRow } from '../store/tables/enrollment.ts';
import type { Tables } from '../store/schema.ts';

/** What a new device has proven; only `deviceId` is a mere claim. */
export interface EnrollmentProof {
  readonly deviceId: string;
  /** That somebody vouched for or proved: of a secure element `software` where neither. */
  readonly tier: string;
  /** SHA-256 of its root of trust's SPKI, hex. */
  readonly rootSha256: string;
  /** SHA-256 of the SPKI of every authority on the validated path of its endorsement certificate, nearest first; empty without one. */
  readonly endorsementAuthorities: readonly string[];
  /** The same for its IDevID. */
  readonly idevidAuthorities: readonly string[];
  /** Every digest by which its IDevID may be listed or blocked, hex; its identity first, empty without one. */
  readonly idevidDigests: readonly string[];
  /** The group of the token that it showed, if the token belongs to a group. */
  readonly tokenGroup: string | undefined;
  /** Groups whose certificate is the anchor of a path that the hub has no other reason to trust: each of them must be open. */
  readonly anchorGroups: readonly string[];
}

export interface EnrollmentGroup {
  readonly name: string;
  readonly kind: EnrollmentGroupRow['kind'];
  readonly createdAt: number;
  readonly terms: GroupTerms;
}

export interface GroupAnchor {
  readonly group: string;
  readonly certificate: Certificate;
}

/**
 * Manufacturers' authorities that may have issued one of these certificates. Includes those of disabled groups, which `matchEnrollmentGroup`
 * refuses by name.
 */
export async function idevidAnchors(
  db: Kysely<Tables>,
  presented: readonly Certificate[],
): Promise<readonly GroupAnchor[]> {
  return anchorsOf(db, 'ca', presented);
}

/** The same for vendors of TPMs: what groups add to the hub's own vendor roots. */
export async function endorsementAnchors(
  db: Kysely<Tables>,
  presented: readonly Certificate[],
): Promise<readonly GroupAnchor[]> {
  return anchorsOf(db, 'endorsement-root', presented);
}

async function anchorsOf(
  db: Kysely<Tables>,
  kind: 'ca' | 'endorsement-root',
  presented: readonly Certificate[],
): Promise<readonly GroupAnchor[]> {
  const issuers = [...new Set(presented.map(({ issuer }) => sha256Hex(canonicalName(issuer))))];
  if (issuers.length === 0) return [];
  const rows = await db
    .selectFrom('enrolment_group')
    .select(['name', 'certificate'])
    .where('kind', '=', kind)
    .where('subject_sha256', 'in', issuers)
    .orderBy('name')
    .execute();
  return rows.flatMap(({ name, certificate }) =>
    certificate === null ? [] : [{ group: name, certificate: parseForeignCertificate(certificate) }],
  );
}

/**
 * The one group that admits the new device. A group by manifest comes before the one of its token, then of its manufacturer's CA, then of
 * its TPM's vendor; of two authorities on one path the nearer one wins. Undefined when no group matches. Throws `enrollment-refused` with
 * the name of a group that is disabled, full, or does not take this device: no other group replaces it.
 */
export async function matchEnrollmentGroup(
  db: Kysely<Tables>,
  proof: EnrollmentProof,
): Promise<EnrollmentGroup | undefined> {
  const listed = await listedFor(db, proof);
  const rows = await groupsNamed(db, proof, listed);
  const byName = new Map(rows.map((row) => [row.name, row]));
  for (const name of proof.anchorGroups) {
    const row = byName.get(name);
    if (row === undefined)
      throw refused('enrollment-group-changed', `the enrollment group ${name} was deleted in the meantime`);
    assertOpen(row);
  }
  const byAuthority = (kind: EnrollmentGroupRow['kind'], authorities: readonly string[]) =>
    authorities.flatMap((sha256) => rows.find((row) => row.kind === kind && row.anchor_sha256 === sha256) ?? []);
  const ofToken = byName.get(proof.tokenGroup ?? '');
  const [row] = [
    ...listed.flatMap((name) => byName.get(name) ?? []),
    ...(ofToken?.kind === 'token' ? [ofToken] : []),
    ...byAuthority('ca', proof.idevidAuthorities),
    ...byAuthority('endorsement-root', proof.endorsementAuthorities),
  ];
  if (row === undefined) return undefined;
  const group = { name: row.name, kind: row.kind, createdAt: row.created_at, terms: termsOf(row) };
  assertOpen(row);
  assertTakes(group, proof);
  if (row.devices_most !== null && row.devices >= row.devices_most) throw groupFull(row.name);
  return group;
}

/** Whether any group could admit a root of trust that has proven nothing yet: a manifest that lists it, or a vendor's group. */
export async function mayBeVouchedFor(
  db: Kysely<Tables>,
  { tier, rootSha256 }: { readonly tier: string; readonly rootSha256: string },
): Promise<boolean> {
  const listed = await db
    .selectFrom('enrolment_listing')
    .select('kind')
    .where('kind', '=', 'root')
    .where('sha256', '=', rootSha256)
    .executeTakeFirst();
  if (listed !== undefined) return true;
  const vendor = await db
    .selectFrom('enrolment_group')
    .select('name')
    .where('kind', '=', tier === 'dice' ? 'ca' : 'endorsement-root')
    .limit(1)
    .executeTakeFirst();
  return vendor !== undefined;
}

/** For a device that needs no group: the groups that its path ends at must still be open. */
export async function assertAnchorGroupsOpen(db: Kysely<Tables>, proof: EnrollmentProof): Promise<void> {
  const rows = await groupsNamed(db, { ...proof, tokenGroup: undefined }, []);
  assertAnchors(new Map(rows.map((row) => [row.name, row])), proof);
}

function assertAnchors(byName: ReadonlyMap<string, EnrollmentGroupRow>, { anchorGroups }: EnrollmentProof): void {
  for (const name of anchorGroups) {
    const row = byName.get(name);
    if (row === undefined)
      throw refused('enrollment-group-changed', `the enrollment group ${name} was deleted in the meantime`);
    assertOpen(row);
  }
}

/** What a device of the group must be, and what it gets. */
export function termsOf({ terms }: Pick<EnrollmentGroupRow, 'terms'>): GroupTerms {
  return groupTerms.parse(JSON.parse(terms));
}

// Names of the manifests that list it: first by its IDevID, then by its root of trust.
async function listedFor(db: Kysely<Tables>, proof: EnrollmentProof): Promise<readonly string[]> {
  const { deviceId, rootSha256, idevidDigests } = proof;
  const shown = { root: [rootSha256], idevid: idevidDigests };
  const listing = async (kind: 'root' | 'idevid') => {
    const rows = await Promise.all(
      shown[kind].map((sha256) =>
        db.selectFrom('enrolment_listing').selectAll().where('kind', '=', kind).where('sha256', '=', sha256).execute(),
      ),
    );
    return rows.flat();
  };
  const own = [...(await listing('idevid')), ...(await listing('root'))];
  const other = own.find(({ device_id: id }) => id !== null && id !== deviceId);
  if (other !== undefined)
    throw refused('root-of-trust-reserved', `a manifest lists this device as ${other.device_id}`);
  const kept = await db.selectFrom('enrolment_listing').selectAll().where('device_id', '=', deviceId).execute();
  if (kept.length > 0 && !kept.some(({ kind, sha256 }) => shown[kind].includes(sha256)))
    throw refused('device-id-reserved', `a manifest reserves ${deviceId} for another root of trust`);
  return own.flatMap((row) => row.enrolment_group ?? []);
}

async function groupsNamed(
  db: Kysely<Tables>,
  proof: EnrollmentProof,
  listed: readonly string[],
): Promise<readonly EnrollmentGroupRow[]> {
  const { idevidAuthorities, endorsementAuthorities, anchorGroups, tokenGroup } = proof;
  const groups = () => db.selectFrom('enrolment_group').selectAll();
  // Each by its own index; no engine accepts an empty list.
  const byName = [...new Set([...listed, ...anchorGroups, ...(tokenGroup === undefined ? [] : [tokenGroup])])];
  const named = byName.length === 0 ? [] : await groups().where('name', 'in', byName).execute();
  const byAuthority = async (kind: 'ca' | 'endorsement-root', authorities: readonly string[]) =>
    authorities.length === 0
      ? []
      : groups().where('kind', '=', kind).where('anchor_sha256', 'in', authorities).execute();
  const rows = [
    ...named,
    ...(await byAuthority('ca', idevidAuthorities)),
    ...(await byAuthority('endorsement-root', endorsementAuthorities)),
  ];
  return [...new Map(rows.map((row) => [row.name, row])).values()];
}

function assertOpen({ name, disabled_reason: reason }: EnrollmentGroupRow): void {
  if (reason !== null)
    throw refused('enrollment-group-disabled', `the enrollment group ${name} is disabled: ${reason}`);
}

function assertTakes({ name, terms }: EnrollmentGroup, { deviceId, tier }: EnrollmentProof): void {
  if (!deviceId.startsWith(terms.idPrefix))
    throw refused('device-id-not-allowed', `device ids of ${name} begin with ${terms.idPrefix}`);
  if (terms.tier !== undefined && terms.tier !== tier)
    throw refused('tier-not-allowed', `${name} takes devices of the tier ${terms.tier}, this one is ${tier}`);
}

/** The refusal for a group that has no place left. */
export function groupFull(name: string): HubError {
  const message = `the enrollment group ${name} has reached its device limit`;
  return refused('enrollment-group-full', message);
}

function refused(code: string, message: string): HubError {
  return new HubError('enrollment-refused', message, { reasons: [{ code, message }] });
}
