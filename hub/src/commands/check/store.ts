// Checks the store, opened for reading: intact, of a version that this hub knows, and the ends of certificates in it.
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { issuedClasses, scopeOf } from '@edgekeep/core/identity/issuing-scope';
import { type VendorRootKind, vendorRootKinds } from '@edgekeep/wire/api/vendor-root';
import { z } from 'zod';
import type { HubSettings } from '../../settings.ts';
import { migrationNames } from '../../store/migrate.ts';
import { vendorRootText } from '../../vendor-root/text.ts';
import { countsOf } from '../../vendor-root/vendor-roots.ts';
import { failureText } from '../../common/world-failure.ts';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';

const dayMs = 86_400_000;

export async function checkStore(path: string, settings: HubSettings, nowMs: number): Promise<readonly Finding[]> {
  if (!existsSync(path))
    return [failed('store', `no ${path}`, 'restore a backup (docs/backup.md), or `edgekeep hub init`')];
  try {
    using store = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    const whole = z.object({ quick_check: z.string() }).parse(store.prepare('PRAGMA quick_check(1)').get());
    if (whole.quick_check !== 'ok')
      return [failed('store', `damaged: ${whole.quick_check}`, 'restore a backup (docs/backup.md)')];
    return [
      checkVersion(store, path),
      ...checkTime(store, settings, nowMs),
      ...checkEnds(store, settings, nowMs),
      ...checkClasses(store, settings),
      ...checkVendorRoots(store, nowMs),
    ];
  } catch (error) {
    if (!(error instanceof Error && 'errcode' in error)) throw error;
    return [
      failed(
        'store',
        `${path} cannot be read: ${failureText(error)}`,
        'repair the disk, correct its permissions, or restore a backup',
      ),
    ];
  }
}

const migrationRow = z.object({ name: z.string() });

function checkVersion(store: DatabaseSync, path: string): Finding {
  const done = store
    .prepare('select name from kysely_migration')
    .all()
    .map((row) => migrationRow.parse(row).name);
  const newer = done.filter((name) => !migrationNames.includes(name));
  if (newer.length > 0)
    return failed('store', `written by a newer hub (${newer.join(', ')})`, 'run the version that wrote it');
  const missing = migrationNames.filter((name) => !done.includes(name));
  if (missing.length === 0) return ok('store', path);
  return ok('store', `${path}; the next start brings it from ${done.at(-1) ?? 'nothing'} to ${migrationNames.at(-1)}`);
}

const timeRow = z.object({ seen_at: z.number() });

function checkTime(store: DatabaseSync, { hubClock }: HubSettings, nowMs: number): readonly Finding[] {
  // A store from before has no latest time.
  if (store.prepare("select 1 from sqlite_master where name = 'hub_time'").get() === undefined) return [];
  const row = store.prepare('select seen_at from hub_time').get();
  if (row === undefined) return [];
  const latestMs = timeRow.parse(row).seen_at;
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

const certificateRow = z.object({ name: z.string(), der: z.instanceof(Uint8Array) });

/** Roots and issuing CAs in use. The hub renews its own certificates without an operator. */
function checkEnds(store: DatabaseSync, { expiryWarningDays }: HubSettings, nowMs: number): readonly Finding[] {
  if (!has(store, 'root_authority')) return [];
  const rows = store
    .prepare(
      `select 'root ' || generation as name, der from root_authority where status in ('current', 'previous')
       union all select 'issuing CA ' || id, der from issuing_authority where status in ('next', 'active') and der is not null`,
    )
    .all()
    .map((row) => certificateRow.parse(row));
  return rows.map(({ name, der }) => {
    const endMs = parseCertificate(der).notAfterSeconds * 1_000;
    const end = new Date(endMs).toISOString().slice(0, 10);
    if (endMs < nowMs) return failed(name, `ended ${end}`, 'roll over: docs/authorities.md');
    if (endMs - nowMs < expiryWarningDays * dayMs)
      return warning(name, `ends ${end}`, 'roll over: docs/authorities.md');
    return ok(name, `ends ${end}`);
  });
}

const classRow = z.object({ class: z.string(), der: z.instanceof(Uint8Array) });

/** Whether each class has an issuing CA of its own, and the one for workloads the trust domain of the settings. */
function checkClasses(store: DatabaseSync, { workloads }: HubSettings): readonly Finding[] {
  const columns = store.prepare("select name from pragma_table_info('issuing_authority')").all();
  // A store from before there were classes: the next start names what is missing.
  if (!columns.some(({ name }) => name === 'class')) return [];
  const rows = store
    .prepare("select class, der from issuing_authority where status = 'active' and der is not null")
    .all()
    .map((row) => classRow.parse(row));
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

const rootRow = z.object({
  kind: z.enum(vendorRootKinds),
  role: z.string(),
  subject: z.string(),
  not_after: z.number(),
});

function checkVendorRoots(store: DatabaseSync, nowMs: number): readonly Finding[] {
  if (!has(store, 'vendor_root')) return [ok("makers' roots", 'the next start imports the files in its folders')];
  const rows = store
    .prepare('select kind, role, subject, not_after from vendor_root where removed_at is null')
    .all()
    .map((row) => rootRow.parse(row));
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

function has(store: DatabaseSync, table: string): boolean {
  return store.prepare("select name from sqlite_master where type = 'table' and name = ?").get(table) !== undefined;
}
