// Makers' certificates in the store (spec/vendor-roots.md): added, removed, listed. Each change is audited in its transaction and makes
// every hub node read again.
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { certificateDigests } from '@edgekeep/core/identity/certificate-identity';
import { knownRootOf } from '@edgekeep/core/identity/known-makers';
import { authorityProblem } from '@edgekeep/core/identity/maker-authority';
import { type VendorRootKind, vendorRootKinds, type VendorRootView } from '@edgekeep/wire/api/vendor-root';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { announceDisconnects } from '../revocation/store.ts';
import { inBatches } from '../store/batches.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { VendorRootRow } from '../store/tables/vendor-root.ts';
import { vendorRootRow } from './certificates.ts';
import { withoutMaker } from './device-makers.ts';

// An audit entry has room for the digests of this many.
const NAMED_IN_ENTRY_MAX = 64;

export interface ImportOrder {
  readonly kind: VendorRootKind;
  readonly certificates: readonly Certificate[];
  readonly anchor: boolean;
  readonly source: string;
  readonly actor: string;
  readonly nowMs: number;
  /** A certificate that an operator removed stays removed: a file in a folder is not an order to add it again. */
  readonly respectRemoved?: boolean;
}

export interface Imported {
  readonly row: VendorRootRow;
  readonly change: 'added' | 'present' | 'anchored';
}

/** Adds those that are new. Throws `vendor-root-refused` when one of them is no authority; then nothing is added. */
export async function importVendorRoots(database: Database, order: ImportOrder): Promise<readonly Imported[]> {
  const { kind, certificates, actor, nowMs } = order;
  const reasons = certificates.flatMap((certificate, at) => {
    const problem = authorityProblem(certificate);
    return problem === undefined ? [] : [{ code: 'not-an-authority', message: `certificate ${at + 1}: ${problem}` }];
  });
  if (reasons.length > 0)
    throw new HubError('vendor-root-refused', 'only roots and intermediates of makers can be imported', {
      reasons: reasons.slice(0, 16),
    });
  const rows = certificates.map((certificate) => vendorRootRow({ ...order, certificate }));
  const unique = [...new Map(rows.map((row) => [row.sha256, row])).values()];
  return database.write(async (trx) => {
    const imported: Imported[] = [];
    for (const row of unique) imported.push(await addRow(trx, await asKnown(trx, row), order.respectRemoved === true));
    const changed = imported.filter(({ change }) => change !== 'present').map(({ row }) => row);
    for (let from = 0; from < changed.length; from += NAMED_IN_ENTRY_MAX) {
      const some = changed.slice(from, from + NAMED_IN_ENTRY_MAX);
      const named = (roles: readonly string[]) =>
        some.filter(({ role }) => roles.includes(role)).map(({ sha256 }) => sha256);
      const data = {
        source: order.source,
        anchors: named(['root', 'anchor']),
        intermediates: named(['intermediate']),
      };
      const entry = { at: nowMs, kind: 'vendor-roots-imported', actor, subject: `vendor-roots:${kind}`, data };
      await appendEntry(trx, entry);
    }
    if (changed.length > 0) await announce(trx);
    return imported;
  });
}

// A certificate that is here under another form of its signature is the same one: it stays removed, and is not there twice.
async function asKnown(trx: WriteTransaction, row: VendorRootRow): Promise<VendorRootRow> {
  const known = await trx
    .selectFrom('vendor_root')
    .select(['sha256', 'der'])
    .where('kind', '=', row.kind)
    .where('sha256', 'in', certificateDigests(parseForeignCertificate(row.der)))
    .executeTakeFirst();
  return known === undefined ? row : { ...row, ...known };
}

async function addRow(trx: WriteTransaction, row: VendorRootRow, respectRemoved: boolean): Promise<Imported> {
  const same = () => trx.updateTable('vendor_root').where('kind', '=', row.kind).where('sha256', '=', row.sha256);
  const old = await trx
    .selectFrom('vendor_root')
    .selectAll()
    .where('kind', '=', row.kind)
    .where('sha256', '=', row.sha256)
    .executeTakeFirst();
  if (old === undefined) {
    await trx.insertInto('vendor_root').values(row).execute();
    return { row, change: 'added' };
  }
  if (old.removed_at !== null) {
    if (respectRemoved) return { row: old, change: 'present' };
    await same().set(row).execute();
    return { row, change: 'added' };
  }
  if (old.role !== 'intermediate' || row.role === 'intermediate') return { row: old, change: 'present' };
  const { role, added_at, added_by, source } = row;
  await same().set({ role, added_at, added_by, source }).execute();
  return { row: { ...old, role, added_at, added_by, source }, change: 'anchored' };
}

export interface RemovalOrder {
  readonly kind: VendorRootKind;
  readonly sha256: string;
  readonly force: boolean;
  readonly reason: string;
  readonly actor: string;
  readonly nowMs: number;
}

/** Removes one and returns how many devices came by it. Throws `conflict` while there are any, unless forced. */
export async function removeVendorRoot(database: Database, order: RemovalOrder): Promise<number> {
  const { kind, sha256, force, reason, actor, nowMs } = order;
  return database.write(async (trx) => {
    const row = await trx
      .selectFrom('vendor_root')
      .select(['subject', 'role', 'removed_at'])
      .where('kind', '=', kind)
      .where('sha256', '=', sha256)
      .executeTakeFirst();
    if (row === undefined || row.removed_at !== null)
      throw new HubError('not-found', `no ${kind} certificate ${sha256}: \`edgekeep vendor-root list\` shows them`);
    const usedBy = (await usesOf(trx, kind, [sha256])).get(sha256) ?? 0;
    if (!force && (await withoutMaker(trx, 1)).length > 0)
      throw new HubError(
        'conflict',
        'the hub is still finding out which devices depend on it: try again in a minute, or use --force',
      );
    if (usedBy > 0 && !force) {
      const message = `${usedBy} ${usedBy === 1 ? 'device depends' : 'devices depend'} on "${row.subject}". ${consequence[kind]} Use --force to remove it anyway`;
      throw new HubError('conflict', message, { reasons: [{ code: 'vendor-root-in-use', message }] });
    }
    await trx
      .updateTable('vendor_root')
      .set({ removed_at: nowMs })
      .where('kind', '=', kind)
      .where('sha256', '=', sha256)
      .execute();
    const data = { certificate: sha256, role: row.role, usedBy, reason };
    await appendEntry(trx, { at: nowMs, kind: 'vendor-root-removed', actor, subject: `vendor-roots:${kind}`, data });
    await announce(trx);
    return usedBy;
  });
}

const consequence: Readonly<Record<VendorRootKind, string>> = {
  tpm: 'They keep working, but cannot enroll again after a wipe.',
  dice: 'Their next attestation is refused: the chain is verified each time.',
  idevid: 'They keep working, but their IDevID is not accepted when they enroll again.',
};

async function announce(trx: WriteTransaction): Promise<void> {
  await trx
    .updateTable('vendor_root_state')
    .set((q) => ({ version: q('version', '+', 1) }))
    .where('id', '=', 1)
    .execute();
  // This makes the other nodes reload.
  await announceDisconnects(trx, []);
}

/** One page, ordered by kind and then by digest. `after` is the `next` of the page before. */
export async function listVendorRoots(
  db: Kysely<Tables>,
  query: { readonly kind?: VendorRootKind | undefined; readonly after: string; readonly limit: number },
): Promise<{ readonly roots: readonly VendorRootView[]; readonly next: string | null }> {
  const [afterKind, afterSha256 = ''] = query.after.split(' ');
  const begin = Math.max(
    0,
    vendorRootKinds.findIndex((kind) => kind === afterKind),
  );
  const kinds = vendorRootKinds.slice(begin).filter((kind) => query.kind === undefined || query.kind === kind);
  const roots: VendorRootView[] = [];
  for (const kind of kinds) {
    const limit = query.limit - roots.length;
    if (limit === 0) break;
    const after = kind === afterKind ? afterSha256 : '';
    roots.push(...(await pageOf(db, kind, after, limit)));
  }
  const last = roots.length === query.limit ? roots.at(-1) : undefined;
  return { roots, next: last === undefined ? null : `${last.kind} ${last.sha256}` };
}

async function pageOf(
  db: Kysely<Tables>,
  kind: VendorRootKind,
  after: string,
  limit: number,
): Promise<readonly VendorRootView[]> {
  const rows = await db
    .selectFrom('vendor_root')
    .selectAll()
    .where('removed_at', 'is', null)
    .where('kind', '=', kind)
    .where('sha256', '>', after)
    .orderBy('sha256')
    .limit(limit)
    .execute();
  const digests = rows.map(({ sha256 }) => sha256);
  const uses = await usesOf(db, kind, digests);
  return rows.map((row) => viewOf(row, uses.get(row.sha256) ?? 0));
}

/** The number of devices, except retired ones, that came by each of these certificates. */
async function usesOf(
  db: Kysely<Tables>,
  kind: VendorRootKind,
  digests: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const counts = await inBatches(digests, async (some) =>
    db
      .selectFrom('device_maker_path')
      .innerJoin('device', 'device.id', 'device_maker_path.device_id')
      .select((q) => ['device_maker_path.sha256 as sha256', q.fn.countAll<number>().as('devices')])
      .where('device_maker_path.kind', '=', kind)
      .where('device_maker_path.sha256', 'in', some)
      .where('device.state', '<>', 'retired')
      .groupBy('device_maker_path.sha256')
      .execute(),
  );
  return new Map(counts.map(({ sha256, devices }) => [sha256, devices]));
}

export function viewOf(row: VendorRootRow, usedBy: number): VendorRootView {
  return {
    kind: row.kind,
    sha256: row.sha256,
    spkiSha256: row.spki_sha256,
    role: row.role,
    maker: row.maker,
    // Fingerprints of roots ship with the product; they say nothing about an intermediate.
    known: row.role === 'intermediate' ? null : knownRootOf(row.sha256) !== undefined,
    subject: row.subject,
    issuer: row.issuer,
    notBefore: row.not_before,
    notAfter: row.not_after,
    usedBy,
    source: row.source,
    addedAt: row.added_at,
    addedBy: row.added_by,
  };
}
