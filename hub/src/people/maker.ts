// The API token behind something that it made and that somebody else uses later, as an enrollment token: it counts no longer than its maker does.
import type { Kysely } from 'kysely';
import type { Tables } from '../store/schema.ts';
import { type Caller, findCaller } from './api-token.ts';
import { covers, type Scope } from './roles.ts';

/** What a new thing of this kind is made on. */
export type Maker = Pick<Caller, 'tokenSha256' | 'expiresAtMs'>;

/** The token of this hash, or the one a person claimed in its place, while it may do what needs `scope`; a text says why it may not. */
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
