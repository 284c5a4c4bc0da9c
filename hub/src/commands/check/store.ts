// Checks the store, opened for reading: intact, of a version that this hub knows, and the ends of certificates in it.
import { type Kysely, sql } from 'kysely';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { issuedClasses, scopeOf } from '@edgekeep/core/identity/issuing-scope';
import { type VendorRootKind, vendorRootKinds } from '@edgekeep/wire/api/vendor-root';
import { z } from 'zod';
import type { HubSettings } from '../../settings.ts';
import { isOfEngine } from '../../store/engine/failures.ts';
import { rowSqlOf } from '../../store/engine/row-sql.ts';
import { migrationNames } from '../../store/migrate.ts';
import type { Tables } from '../../store/schema.ts';
import { vendorRootText } from '../../vendor-root/text.ts';
import { countsOf } from '../../vendor-root/vendor-roots.ts';
import { failureText } from '../../common/world-failure.ts';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';
import { checkUse, type OpenedStore } from './opened-store.ts';

const dayMs = 86_400_000;

export async function checkStore(
  { db, place, isFile }: OpenedStore,
  settings: HubSettings,
  nowMs: number,
): Promise<readonly Finding[]> {
  if (db === undefined) return [];
  try {
    const damage = isFile ? await damageOf(db) : undefined;
    if (damage !== undefined) return [failed('store', `damaged: ${damage}`, 'restore a backup (docs/backup.md)')];
    return [
      await checkVersion(db, place),
      ...(await checkUse(db)),
      ...(await checkTime(db, settings, nowMs)),
      ...(await checkEnds(db, settings, nowMs)),
      ...(await checkClasses(db, settings)),
      ...(await checkVendorRoots(db, nowMs)),
    ];
  } catch (error) {
    if (!isOfEngine(error)) throw error;
    return [
      failed(
        'store',
        `${place} cannot be read: ${failureText(error)}`,
        'repair the disk, correct its permissions, or restore a backup',
      ),
    ];
  }
}

/** Of the file of SQLite; a server of PostgreSQL has tools of its own (docs/postgresql.md). */
async function damageOf(db: Kysely<Tables>): Promise<string | undefined> {
  const { rows } = await sql<{ quick_check: string }>`PRAGMA quick_check(1)`.execute(db);
  const found = rows[0]?.quick_check;
  return found === 'ok' ? undefined : (found ?? 'no answer');
}

async function checkVersion(db: Kysely<Tables>, place: string): Promise<Finding> {
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  const done = rows.map(({ name }) => name);
  const newer = done.filter((name) => !migrationNames.includes(name));
  if (newer.length > 0)
    return failed('store', `written by a newer hub (${newer.join(', ')})`, 'run the version that wrote it');
  const missing = migrationNames.filter((name) => !done.includes(name));
  if (missing.length === 0) return ok('store', place);
  return ok('store', `${place}; the next start brings it from ${done.at(-1) ?? 'nothing'} to ${migrationNames.at(-1)}`);
}

async function checkTime(db: Kysely<Tables>, { hubClock }: HubSettings, nowMs: number): Promise<readonly Finding[]> {
  // A store from before has no latest time.
  if (!(await rowSqlOf(db).hasTable(db, 'hub_time'))) return [];
  const row = await db.selectFrom('hub_time').select('seen_at').executeTakeFirst();
  if (row === undefined) return [];
  const latestMs = row.seen_at;
  const behind = Math.round((latestMs - nowMs) / 1_000);
  if (behind <= hubClock.maxBehindSeconds) return [ok('clock', 'not behind the latest time that the hub has seen')];
  return [
    failed(
      'clock',
      `${behind} s behind ${new Date(latestMs).toISOString()}, the latest time that this hub has seen: it would change nothing`,
      "set the machine's clock; if that time is wrong, edgekeep hub accept-clock (docs/design/hub-time.md)",
    ),
  ];
}

/** Roots and issuing CAs in use. The hub renews its own certificates without an operator. */
async function checkEnds(
  db: Kysely<Tables>,
  { expiryWarningDays }: HubSettings,
  nowMs: number,
): Promise<readonly Finding[]> {
  if (!(await rowSqlOf(db).hasTable(db, 'root_authority'))) return [];
  const { rows } = await sql<{ name: string; der: Uint8Array }>`
    select 'root ' || generation as name, der from root_authority where status in ('current', 'previous')
    union all select 'issuing CA ' || id, der from issuing_authority where status in ('next', 'active') and der is not null
  `.execute(db);
  return rows.map(({ name, der }) => {
    const endMs = parseCertificate(der).notAfterSeconds * 1_000;
    const end = new Date(endMs).toISOString().slice(0, 10);
    if (endMs < nowMs) return failed(name, `ended ${end}`, 'roll over: docs/authorities.md');
    if (endMs - nowMs < expiryWarningDays * dayMs)
      return warning(name, `ends ${end}`, 'roll over: docs/authorities.md');
    return ok(name, `ends ${end}`);
  });
}

/** Whether each class has an issuing CA of its own, and the one for workloads the trust domain of the settings. */
async function checkClasses(db: Kysely<Tables>, { workloads }: HubSettings): Promise<readonly Finding[]> {
  const classes = await sql`select 1 from kysely_migration where name = '0022-authority-classes'`.execute(db);
  // A store from before there were classes: the next start names what is missing.
  if (classes.rows.length === 0) return [];
  const { rows } = await sql<{ class: string; der: Uint8Array }>`
    select class, der from issuing_authority where status = 'active' and der is not null`.execute(db);
  // A hub that has never run: its first start records those that `hub init` made.
  if (rows.length === 0) return [];
  const without = issuedClasses.filter((wanted) => rows.every((row) => row.class !== wanted));
  if (without.length > 0) {
    const next = 'edgekeep authority request, have the root sign it: docs/authorities.md';
    return [warning('issuing CAs', `one issues for ${without.join(', ')}, as before there were classes`, next)];
  }
  const domain = rows
    .map(({ der }) => scopeOf(parseCertificate(der)))
    .find((each) => each?.certificateClass === 'workload');
  if (domain?.certificateClass === 'workload' && domain.trustDomain !== workloads.trustDomain) {
    const found = `the CA for workloads is for ${domain.trustDomain}, the setting is ${workloads.trustDomain}`;
    return [
      failed('issuing CAs', found, 'edgekeep authority request --class workload, or correct workloads.trustDomain'),
    ];
  }
  return [ok('issuing CAs', `one each for ${issuedClasses.join(', ')}`)];
}

const kindSchema = z.enum(vendorRootKinds);

async function checkVendorRoots(db: Kysely<Tables>, nowMs: number): Promise<readonly Finding[]> {
  if (!(await rowSqlOf(db).hasTable(db, 'vendor_root')))
    return [ok("makers' roots", 'the next start imports the files in its folders')];
  const found = await db
    .selectFrom('vendor_root')
    .select(['kind', 'role', 'subject', 'not_after'])
    .where('removed_at', 'is', null)
    .execute();
  const rows = found.map((row) => ({ ...row, kind: kindSchema.parse(row.kind) }));
  const text = vendorRootText(countsOf(rows, nowMs));
  const ended = rows.filter(({ not_after: end }) => end < nowMs);
  const anchors = (kind: VendorRootKind) => rows.some((row) => row.kind === kind && row.role !== 'intermediate');
  const findings: Finding[] = [];
  if (ended.length > 0) {
    const named = ended
      .slice(0, 3)
      .map(({ subject }) => `"${subject}"`)
      .join(', ');
    const next = 'devices under these are refused: docs/vendor-roots.md, "When a maker\'s CA has ended"';
    findings.push(
      warning("makers' roots", `${ended.length} have ended: ${named}${ended.length > 3 ? ', …' : ''}`, next),
    );
  }
  if (!anchors('tpm'))
    findings.push(
      warning(
        "makers' roots",
        'no root of a TPM maker',
        'a TPM enrolls by an enrollment group with its root, or: edgekeep vendor-root import',
      ),
    );
  return [ok("makers' roots", text), ...findings];
}
