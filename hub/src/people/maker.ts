// The API token that made something which is used later, such as an enrollment token: it is valid no longer than its maker.
import type { Kysely } from 'kysely';
import type { Tables } from '../store/schema.ts';
import { type Caller, findCaller } from './api-token.ts';
import { covers, type Scope } from './roles.ts';

/** The maker of a new thing of this kind. */
export type Maker = Pick<Caller, 'tokenSha256' | 'expiresAtMs'>;

/** The token with this hash, or the one that a person claimed in its place, while it has `scope`; a text says why it does not. */
export async function findMaker(
  db: Kysely<Tables>,
  sha256: string,
  { scope, nowMs }: { readonly scope: Scope; readonly nowMs: number },
): Promise<Caller | string> {
  const row = await db.selectFrom('api_token').select('claimed_as').where('sha256', '=', sha256).executeTakeFirst();
  const caller = await findCaller(db, row?.claimed_as ?? sha256, nowMs);
  if (typeof caller === 'string' || covers(caller.scopes, scope)) return caller;
  return `its API token lacks the scope ${scope}`;
}
