// How long an enrollment token is valid (spec/enrollment-groups.md, "Tokens"): until it ends or is revoked, and no longer than the API
// token that made it or took it over. Checked at the door, and again in the transaction that registers the device.
import type { EnrollmentTokenState } from '@edgekeep/wire/api/enrollment-token';
import type { Kysely } from 'kysely';
import { findMaker, type Maker } from '../people/maker.ts';
import type { EnrollmentGroupTokenRow, EnrollmentTokenRow } from '../store/tables/enrollment.ts';
import type { Tables } from '../store/schema.ts';

/** The scope that its maker must have. */
const makerScope = 'enrollment:write';

/** The columns that decide whether a token is valid; for both kinds. */
export type TokenLife = Pick<EnrollmentTokenRow, 'expires_at' | 'made_by' | 'revoked_at'> &
  (Pick<EnrollmentTokenRow, 'used_by'> | Pick<EnrollmentGroupTokenRow, 'uses' | 'uses_most'>);

/** The end of a new token: its maker's, if that comes first. */
export function endOf(maker: Maker, order: { readonly nowMs: number; readonly lifeSeconds: number }): number {
  return Math.min(order.nowMs + order.lifeSeconds * 1_000, maker.expiresAtMs);
}

export async function tokenStateOf(db: Kysely<Tables>, row: TokenLife, nowMs: number): Promise<EnrollmentTokenState> {
  if (row.revoked_at !== null) return 'revoked';
  if ('used_by' in row ? row.used_by !== null : row.uses >= row.uses_most) return 'used';
  if (row.expires_at <= nowMs) return 'expired';
  if (row.made_by === null) return 'usable';
  const maker = await findMaker(db, row.made_by, { scope: makerScope, nowMs });
  return typeof maker === 'string' ? 'maker-ended' : 'usable';
}
