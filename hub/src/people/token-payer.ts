// Who pays for the work of an API token: the person who owns it, and for services the person who made them. Ten tokens are not ten budgets.
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../store/schema.ts';
import type { Caller } from './api-token.ts';

/**
 * `person:NAME`; `services of NAME` for all services that a person's tokens made, at any depth; `token:SHA256` for services without a
 * person: the first token of a hub, and those from before their maker was stored.
 */
export async function tokenPayer(db: Kysely<Tables>, { person, tokenSha256 }: Caller): Promise<string> {
  if (person !== undefined) return `person:${person}`;
  const { rows } = await sql<{ sha256: string; person: string | null; depth: number }>`
    with recursive line (sha256, person, derived_from, depth) as (
      select sha256, person, derived_from, 0 from api_token where sha256 = ${tokenSha256}
      union
      select maker.sha256, maker.person, maker.derived_from, line.depth + 1
      from api_token as maker join line on maker.sha256 = line.derived_from
      where line.person is null)
    select sha256, person, depth from line order by depth desc limit 1`.execute(db);
  const [first] = rows;
  return first?.person ? `services of ${first.person}` : `token:${first?.sha256 ?? tokenSha256}`;
}
