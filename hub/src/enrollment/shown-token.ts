// The token that a new device shows: a one-time token, or one of an enrollment group. All refusals have one message, so that guessing
// reveals nothing.
import type { Kysely } from 'kysely';
import { findGroupToken, looksLikeGroupToken, spendGroupToken } from './group-tokens.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import { findEnrollmentToken, spendEnrollmentToken, tokenUnfit } from './one-time-token.ts';

export type ShownToken =
  | {
      readonly kind: 'one-time';
      readonly sha256: string;
      readonly createdAt: number;
      /** The only device that it was made for, and the only tier; null for any. */
      readonly deviceId: string | null;
      readonly tier: string | null;
    }
  | { readonly kind: 'group'; readonly sha256: string; readonly group: string };

/** Throws `enrollment-refused` unless the text is a token that this device may use now. */
export async function findShownToken(
  db: Kysely<Tables>,
  text: string | undefined,
  device: { readonly deviceId: string; readonly tier: string; readonly nowMs: number },
): Promise<ShownToken> {
  if (text !== undefined && looksLikeGroupToken(text)) {
    const row = await findGroupToken(db, text, device.nowMs);
    if (row === undefined) throw tokenUnfit();
    return { kind: 'group', sha256: row.sha256, group: row.enrolment_group };
  }
  const row = await findEnrollmentToken(db, text, device);
  return {
    kind: 'one-time',
    sha256: row.sha256,
    createdAt: row.created_at,
    deviceId: row.device_id,
    tier: row.tier,
  };
}

/** Uses the token up, or one of its uses. Refused when that was the last use and another device was faster. */
export async function spendShownToken(
  trx: WriteTransaction,
  token: ShownToken,
  use: { readonly deviceId: string; readonly nowMs: number },
): Promise<void> {
  if (token.kind === 'group') await spendGroupToken(trx, token.sha256, use.nowMs);
  else await spendEnrollmentToken(trx, token.sha256, use);
}

/** What devices that enroll by this token have in common as witnesses: nothing, where it admits only one. */
export const originOf = (token: ShownToken): string => (token.kind === 'group' ? tokenActor(token) : '');

/** The name in the audit log. */
export const tokenActor = ({ sha256 }: ShownToken): string => `token ${sha256.slice(0, 16)}`;
