// Tokens of an enrollment group: one text that a limited number of devices may enroll with until a date. Shown once, stored as a SHA-256.
// Several may be valid at a time, so that one follows another without a gap.
import { randomBytes } from 'node:crypto';
import { GROUP_TOKENS_MAX } from '@edgekeep/wire/api/enrollment-group';
import type { EnrollmentTokenState } from '@edgekeep/wire/api/enrollment-token';
import type { Kysely } from 'kysely';
import { sha256Hex } from '@edgekeep/core/digest';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { EnrollmentGroupTokenRow } from '../store/tables/enrollment.ts';
import type { Tables } from '../store/schema.ts';
import type { Maker } from '../people/maker.ts';
import { getEnrollmentGroup, type GroupRequest } from './groups.ts';
import { endOf, tokenStateOf } from './token-life.ts';

const prefix = 'eg_';

/** The form of a text shows which kind of token it is; only the store knows whether it is valid. */
export const looksLikeGroupToken = (text: string): boolean => text.startsWith(prefix);

export interface GroupTokenOrder extends GroupRequest {
  readonly maxUses: number;
  readonly lifeSeconds: number;
  /** The token ends with it. */
  readonly maker: Maker;
  /** How long older tokens stay valid from now; undefined: until their own end. */
  readonly olderSeconds: number | undefined;
}

export async function createGroupToken(
  database: Database,
  order: GroupTokenOrder,
): Promise<{ readonly token: string; readonly expiresAt: number }> {
  const { name, actor, nowMs, maxUses, maker, olderSeconds } = order;
  const token = prefix + randomBytes(24).toString('base64url');
  const sha256 = sha256Hex(token);
  const expiresAt = endOf(maker, order);
  await database.write(async (trx) => {
    const { kind, terms } = await getEnrollmentGroup(trx, name);
    if (kind !== 'token' && !terms.includes('"needsToken":true'))
      throw new HubError('conflict', `${name} needs no token: its devices prove themselves by ${kind}`);
    if (olderSeconds !== undefined) await endOlder(trx, name, nowMs + olderSeconds * 1_000);
    const valid = (await tokensOf(trx, name, nowMs)).filter(({ state }) => state === 'usable');
    if (valid.length >= GROUP_TOKENS_MAX)
      throw new HubError('conflict', `${name} has ${valid.length} valid tokens: let older ones end with the new one`);
    const row = {
      sha256,
      enrolment_group: name,
      created_at: nowMs,
      expires_at: expiresAt,
      uses: 0,
      uses_most: maxUses,
      made_by: maker.tokenSha256,
      revoked_at: null,
    };
    await trx.insertInto('enrolment_group_token').values(row).execute();
    const data = { token: sha256.slice(0, 16), usesMost: maxUses, expiresAt, olderSeconds: olderSeconds ?? null };
    const subject = `enrolment-group:${name}`;
    await appendEntry(trx, { at: nowMs, kind: 'enrolment-group-token-created', actor, subject, data });
  });
  return { token, expiresAt };
}

async function endOlder(trx: WriteTransaction, name: string, at: number): Promise<void> {
  await trx
    .updateTable('enrolment_group_token')
    .set({ expires_at: at })
    .where('enrolment_group', '=', name)
    .where('expires_at', '>', at)
    .execute();
}

/** All tokens of a group with their present status, newest first. */
export async function tokensOf(
  db: Kysely<Tables>,
  name: string,
  nowMs: number,
): Promise<readonly (EnrollmentGroupTokenRow & { readonly state: EnrollmentTokenState })[]> {
  const rows = await db
    .selectFrom('enrolment_group_token')
    .selectAll()
    .where('enrolment_group', '=', name)
    .orderBy('created_at', 'desc')
    .orderBy('sha256')
    .execute();
  const found = [];
  for (const row of rows) found.push({ ...row, state: await tokenStateOf(db, row, nowMs) });
  return found;
}

/** The token's row while it may be used; undefined for every reason, so that guessing reveals nothing. */
export async function findGroupToken(
  db: Kysely<Tables>,
  text: string,
  nowMs: number,
): Promise<EnrollmentGroupTokenRow | undefined> {
  return findUsable(db, sha256Hex(text), nowMs);
}

/** Takes one of the token's uses. Refused when another device took the last one meanwhile, or the token has ended. */
export async function spendGroupToken(trx: WriteTransaction, sha256: string, nowMs: number): Promise<void> {
  const row = await findUsable(trx, sha256, nowMs);
  if (row === undefined)
    throw new HubError('enrollment-refused', 'this enrollment token was used up or has ended in the meantime');
  await trx
    .updateTable('enrolment_group_token')
    .set((q) => ({ uses: q('uses', '+', 1) }))
    .where('sha256', '=', sha256)
    .execute();
}

async function findUsable(
  db: Kysely<Tables>,
  sha256: string,
  nowMs: number,
): Promise<EnrollmentGroupTokenRow | undefined> {
  const row = await db.selectFrom('enrolment_group_token').selectAll().where('sha256', '=', sha256).executeTakeFirst();
  return row !== undefined && (await tokenStateOf(db, row, nowMs)) === 'usable' ? row : undefined;
}
