// The authorities as operators and devices see them, and the devices that do not know the newest root yet.
import { toBase64url } from '@edgekeep/core/bytes';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { nameText } from '@edgekeep/core/identity/distinguished-name';
import { encodePem } from '@edgekeep/core/identity/pem';
import type { AuthoritiesResponse, IssuingView, RootView } from '@edgekeep/wire/api/authority';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../store/schema.ts';
import type { DeviceState } from '../store/tables/registry.ts';
import type { AuthorityState, RootAuthority } from './state.ts';

/** A device in any other state cannot connect, so nothing waits for it. */
export const waitedFor: readonly DeviceState[] = ['registered', 'active', 'suspect'];

/** What every device may read: all roots with their links, and the accepted issuing CAs. */
export function publicView({ roots, trusted }: AuthorityState): AuthoritiesResponse {
  return {
    roots: roots.map(({ certificate, status, links, list }) => ({
      certificate: toBase64url(certificate.der),
      status,
      newWithOld: links === undefined ? null : toBase64url(links.newWithOld.der),
      oldWithNew: links === undefined ? null : toBase64url(links.oldWithNew.der),
      list: list === undefined ? null : toBase64url(list),
    })),
    issuing: trusted.map(({ certificate, status }) => ({ certificate: toBase64url(certificate.der), status })),
  };
}

export async function rootViews(db: Kysely<Tables>, { roots, root }: AuthorityState): Promise<readonly RootView[]> {
  return Promise.all(roots.map((each) => rootView(db, each, each.version >= root.version)));
}

async function rootView(db: Kysely<Tables>, root: RootAuthority, awaited: boolean): Promise<RootView> {
  const { sha256, version, status, certificate, overlapEndsAtMs } = root;
  // Every device was delivered with a root, so the first root needs no check.
  const devicesPending = awaited && version > 1 ? await countPending(db, version) : null;
  return {
    sha256,
    version,
    // For programs of the version before, and `devicesMissing`.
    generation: version,
    status,
    subject: nameText(certificate.subject),
    notBefore: certificate.notBeforeSeconds * 1_000,
    notAfter: certificate.notAfterSeconds * 1_000,
    overlapEndsAt: overlapEndsAtMs ?? null,
    devicesPending,
    devicesMissing: devicesPending,
  };
}

export async function issuingViews(
  db: Kysely<Tables>,
  { roots }: AuthorityState,
  nowMs: number,
): Promise<readonly IssuingView[]> {
  const rows = await db.selectFrom('issuing_authority').selectAll().orderBy('added_at').orderBy('id').execute();
  return Promise.all(
    rows.map(async (row) => {
      const certificate = row.der === null ? undefined : parseCertificate(row.der);
      const { count } = await db
        .selectFrom('certificate')
        .select(sql<number>`count(*)`.as('count'))
        .where('issuer', '=', row.id)
        .where('revoked_at', 'is', null)
        .where('not_after', '>', nowMs)
        .executeTakeFirstOrThrow();
      return {
        id: row.id,
        class: row.class,
        status: row.status,
        request:
          row.status === 'requested' && row.request !== null ? encodePem('CERTIFICATE REQUEST', row.request) : null,
        root: roots.find(({ sha256 }) => sha256 === row.root_sha256)?.version ?? null,
        notBefore: certificate === undefined ? null : certificate.notBeforeSeconds * 1_000,
        notAfter: certificate === undefined ? null : certificate.notAfterSeconds * 1_000,
        activatesAt: row.activates_at,
        activatedAt: row.activated_at,
        endedAt: row.ended_at,
        certificates: count,
      };
    }),
  );
}

/** Devices that may connect and have not shown that they know the root of this version. */
export async function countPending(db: Kysely<Tables>, version: number): Promise<number> {
  const { count } = await pending(db, version)
    .select(sql<number>`count(*)`.as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

/** The same devices by id, in order. */
export async function listPending(
  db: Kysely<Tables>,
  version: number,
  page: { readonly after: string; readonly limit: number },
): Promise<readonly { id: string; tier: string; seenAt: number; rootVersion: number }[]> {
  return pending(db, version)
    .select([
      'device.id',
      'device.tier',
      'device.seen_at as seenAt',
      sql<number>`coalesce(device_root.generation, 1)`.as('rootVersion'),
    ])
    .where('device.id', '>', page.after)
    .orderBy('device.id')
    .limit(page.limit)
    .execute();
}

function pending(db: Kysely<Tables>, version: number) {
  return db
    .selectFrom('device')
    .leftJoin('device_root', 'device_root.device_id', 'device.id')
    .where('device.state', 'in', waitedFor)
    .where('device.disabled_reason', 'is', null)
    .where((q) => q.or([q('device_root.generation', 'is', null), q('device_root.generation', '<', version)]));
}
