// How long an enrollment token counts (spec/enrollment-groups.md, "Tokens"): until its end, until it is revoked, and no longer than the API token that
// made it, or took it over, does. Asked at the door, and again in the transaction that registers the device.
import type { EnrollmentTokenState } from '@edgekeep/wire/api/enrollment-token';
import type { Kysely } from 'kysely';
import { findMaker, type Maker } from '../people/maker.ts';
import type { EnrollmentGroupTokenRow } from '../store/enrollment-tables.ts';
import type { EnrollmentTokenRow, Tables } from '../store/schema.ts';

/** What its maker must be allowed to do. */
const makerScope = 'enrollment:write';

/** What says whether a token counts; of either kind. */
export type TokenLife = Pick<EnrollmentTokenRow, 'expires_at' | 'made_by' | 'revoked_at'> &
  (Pick<EnrollmentTokenRow, 'used_by'> | Pick<EnrollmentGroupTokenRow, 'uses' | 'uses_most'>);

/** The end of a token that is asked for now: its maker's, where that comes first. */
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
