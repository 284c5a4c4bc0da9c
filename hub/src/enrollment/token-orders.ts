// Operations on enrollment tokens of both kinds after they are made: list them, end one, replace the maker of one.
import type { EnrollmentTokenView } from '@edgekeep/wire/api/enrollment-token';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Caller } from '../people/api-token.ts';
import { tokenId } from '../people/token-store.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { EnrollmentGroupTokenRow, EnrollmentTokenRow } from '../store/tables/enrollment.ts';
import type { Tables } from '../store/schema.ts';
import { tokenStateOf } from './token-life.ts';

type Found =
  | { readonly table: 'enrolment_token'; readonly row: EnrollmentTokenRow }
  | { readonly table: 'enrolment_group_token'; readonly row: EnrollmentGroupTokenRow };

interface TokenRevocationOrder {
  readonly id: string;
  readonly actor: string;
  readonly nowMs: number;
}

/** Tokens by id. With `usable`, a page may have fewer than `limit` although more follow. */
export async function listEnrollmentTokens(
  db: Kysely<Tables>,
  page: { readonly state: 'usable' | 'any'; readonly after: string; readonly limit: number; readonly nowMs: number },
): Promise<{ readonly tokens: readonly EnrollmentTokenView[]; readonly next: string | null }> {
  const rest = { after: page.after === '' ? '' : `${page.after}g`, limit: page.limit };
  const found = [...(await oneTime(db, rest)), ...(await ofGroups(db, rest))]
    .toSorted((a, b) => (a.row.sha256 < b.row.sha256 ? -1 : 1))
    .slice(0, page.limit);
  const views: EnrollmentTokenView[] = [];
  for (const each of found) views.push(await viewOf(db, each, page.nowMs));
  const last = views.length === page.limit ? (views.at(-1)?.id ?? null) : null;
  return { tokens: page.state === 'any' ? views : views.filter(({ state }) => state === 'usable'), next: last };
}

interface Page {
  readonly after: string;
  readonly limit: number;
}

async function oneTime(db: Kysely<Tables>, { after, limit }: Page): Promise<readonly Found[]> {
  const tokens = db.selectFrom('enrolment_token').selectAll();
  const rows = await tokens.where('sha256', '>', after).orderBy('sha256').limit(limit).execute();
  return rows.map((row) => ({ table: 'enrolment_token', row }));
}

async function ofGroups(db: Kysely<Tables>, { after, limit }: Page): Promise<readonly Found[]> {
  const tokens = db.selectFrom('enrolment_group_token').selectAll();
  const rows = await tokens.where('sha256', '>', after).orderBy('sha256').limit(limit).execute();
  return rows.map((row) => ({ table: 'enrolment_group_token', row }));
}

/** Ends one at once; devices that enrolled with it stay. */
export async function revokeEnrollmentToken(
  database: Database,
  { id, actor, nowMs }: TokenRevocationOrder,
): Promise<void> {
  await database.write(async (trx) => {
    const found = await getUsable(trx, id, nowMs);
    await change(trx, found, { revoked_at: nowMs });
    const data = { token: id };
    await appendEntry(trx, { at: nowMs, kind: 'enrollment-token-revoked', actor, subject: subjectOf(found), data });
  });
}

/** From now on it ends together with the caller's token, and no later than before. */
export async function handOverEnrollmentToken(
  database: Database,
  { id, actor, nowMs, caller }: TokenRevocationOrder & { readonly caller: Caller },
): Promise<{ readonly id: string; readonly expiresAt: number }> {
  return database.write(async (trx) => {
    const found = await getUsable(trx, id, nowMs);
    if (caller.person === undefined)
      throw new HubError('conflict', 'a service cannot take a token over: use a token of a person');
    const { made_by: from, expires_at: end } = found.row;
    const expiresAt = Math.min(end, caller.expiresAtMs);
    await change(trx, found, { made_by: caller.tokenSha256, expires_at: expiresAt });
    const data = { token: id, from: from === null ? '' : tokenId(from), to: tokenId(caller.tokenSha256) };
    await appendEntry(trx, { at: nowMs, kind: 'enrollment-token-handed-over', actor, subject: subjectOf(found), data });
    return { id, expiresAt };
  });
}

async function change(
  trx: WriteTransaction,
  { table, row: { sha256 } }: Found,
  columns: Partial<Pick<EnrollmentTokenRow, 'revoked_at' | 'made_by' | 'expires_at'>>,
): Promise<void> {
  if (table === 'enrolment_token')
    await trx.updateTable('enrolment_token').set(columns).where('sha256', '=', sha256).execute();
  else await trx.updateTable('enrolment_group_token').set(columns).where('sha256', '=', sha256).execute();
}

async function getUsable(trx: WriteTransaction, id: string, nowMs: number): Promise<Found> {
  const next = { after: id, limit: 1 };
  const near = [...(await oneTime(trx, next)), ...(await ofGroups(trx, next))];
  const found = near.find(({ row }) => tokenId(row.sha256) === id);
  if (found !== undefined && (await tokenStateOf(trx, found.row, nowMs)) === 'usable') return found;
  throw new HubError(
    'not-found',
    `no enrollment token with the id ${JSON.stringify(id)} can be used: \`edgekeep enroll token list\` shows all`,
  );
}

// As in the entry of its making.
function subjectOf({ table, row }: Found): string {
  if (table === 'enrolment_group_token') return `enrollment-group:${row.enrolment_group}`;
  return row.device_id === null ? 'any-device' : `device:${row.device_id}`;
}

async function viewOf(db: Kysely<Tables>, { table, row }: Found, nowMs: number): Promise<EnrollmentTokenView> {
  const own =
    table === 'enrolment_token'
      ? { group: null, deviceId: row.device_id, tier: row.tier, uses: row.used_by === null ? 0 : 1, maxUses: 1 }
      : { group: row.enrolment_group, deviceId: null, tier: null, uses: row.uses, maxUses: row.uses_most };
  return {
    ...own,
    id: tokenId(row.sha256),
    state: await tokenStateOf(db, row, nowMs),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    endsWith: row.made_by === null ? null : tokenId(row.made_by),
  };
}
