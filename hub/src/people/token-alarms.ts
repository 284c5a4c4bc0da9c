// Alerts about valid tokens without a responsible person (spec/operator-access.md): an old bootstrap, and services whose maker has ended.
import type { Kysely } from 'kysely';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import { tokenId } from './token-store.ts';

const hourMs = 3_600_000;
// More than one list of alerts can usefully show; the next sweep raises the others.
const RAISED_AT_ONCE_MAX = 100;
const kinds = ['bootstrap-token', 'service-token-orphaned'] as const;

interface Finding {
  readonly kind: (typeof kinds)[number];
  readonly sha256: string;
  readonly name: string;
}

/** Raises new alerts and settles those that are over, in the hub's own name. */
export async function raiseTokenAlarms(
  database: Database,
  { bootstrapHours, nowMs }: { readonly bootstrapHours: number; readonly nowMs: number },
): Promise<void> {
  const found = [
    ...(await bootstrapsOf(database.read, nowMs, bootstrapHours)),
    ...(await orphansOf(database.read, nowMs)),
  ];
  const open = await database.read
    .selectFrom('alert')
    .select(['kind', 'cause'])
    .where('kind', 'in', kinds)
    .where('state', 'in', ['open', 'acknowledged'])
    .execute();
  // The alert ends with the detail that it was raised with.
  const standing = open.map(({ kind, cause }) => ({ kind, detail: cause.slice(cause.lastIndexOf(' ') + 1) }));
  const over = standing.filter(
    ({ kind, detail }) => !found.some((each) => each.kind === kind && each.sha256 === detail),
  );
  const fresh = found.filter(
    (each) => !standing.some(({ kind, detail }) => each.kind === kind && each.sha256 === detail),
  );
  if (over.length + fresh.length === 0) return;
  await database.writeAsHub(async (trx) => {
    for (const { kind, detail } of over) {
      const note = 'the token has ended, or a person is responsible for it now';
      const own = kinds.find((each) => each === kind);
      if (own !== undefined) await settleAlert(trx, { kind: own, subject: { part }, detail, nowMs, note });
    }
    for (const { kind, sha256, name } of fresh.slice(0, RAISED_AT_ONCE_MAX)) {
      const id = tokenId(sha256);
      const alert =
        kind === 'bootstrap-token'
          ? ({
              severity: 'high',
              title: `the first operator file (token ${id}) has no owner yet: edgekeep hub claim`,
            } as const)
          : ({
              severity: 'medium',
              title: `the maker of the service ${name} (token ${id}) has ended: hand it over or revoke it`,
            } as const);
      await raiseAlert(trx, { ...alert, kind, subject: { part }, detail: sha256, data: { token: id, name }, nowMs });
    }
  });
}

const part = 'tokens';

async function bootstrapsOf(db: Kysely<Tables>, nowMs: number, bootstrapHours: number): Promise<readonly Finding[]> {
  const rows = await db
    .selectFrom('api_token')
    .select(['sha256', 'name'])
    .where('bootstrap', '=', 1)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', nowMs)
    .where('created_at', '<', nowMs - bootstrapHours * hourMs)
    .execute();
  return rows.map((row) => ({ ...row, kind: 'bootstrap-token' }));
}

async function orphansOf(db: Kysely<Tables>, nowMs: number): Promise<readonly Finding[]> {
  const rows = await db
    .selectFrom('api_token')
    .select(['sha256', 'name'])
    .where('person', 'is', null)
    .where('derived_from', 'is', null)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', nowMs)
    .execute();
  return rows.map((row) => ({ ...row, kind: 'service-token-orphaned' }));
}
