// API tokens at the door (spec/operator-access.md, "Tokens"): 32 random bytes, stored as a SHA-256. The holder of a token is a person or a
// service.
import { sha256Hex } from '@edgekeep/core/digest';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';
import type { ApiTokenRow } from '../store/tables/people.ts';
import type { Tables } from '../store/schema.ts';
import type { Kysely } from 'kysely';
import { covers, type Scope, scopesOf } from './roles.ts';

/** Who asks. */
export interface Caller {
  readonly tokenSha256: string;
  /** The person who owns the token; undefined for a service. */
  readonly person: string | undefined;
  readonly roles: readonly string[];
  /** The scopes of its roles, and its own. */
  readonly scopes: readonly Scope[];
  readonly expiresAtMs: number;
  /** The name in the audit log: `person:NAME/TOKEN` or `service:TOKEN`. */
  readonly actor: string;
}

export const tokenPrefix = 'ek_';

/** The caller behind an Authorization header, or an error: missing, unknown, expired, revoked, or of a disabled person. */
export async function authenticate(database: Database, header: string | undefined, nowMs: number): Promise<Caller> {
  const match = /^Bearer (ek_[A-Za-z0-9_-]{43})$/.exec(header ?? '');
  const text = match?.[1];
  if (text === undefined) throw new HubError('token-required', 'send an API token: Authorization: Bearer ek_…');
  // The look-up is by hash: an attacker can only time the hash of their own guess.
  const caller = await findCaller(database.read, sha256Hex(text), nowMs);
  if (typeof caller !== 'string') return caller;
  throw new HubError('token-refused', caller);
}

/** The caller behind a stored token; a text says why the token is not valid. */
export async function findCaller(db: Kysely<Tables>, sha256: string, nowMs: number): Promise<Caller | string> {
  const row = await db
    .selectFrom('api_token')
    .leftJoin('person', 'person.name', 'api_token.person')
    .selectAll('api_token')
    .select('person.disabled_at as personDisabledAt')
    .where('sha256', '=', sha256)
    .executeTakeFirst();
  if (row === undefined || row.revoked_at !== null)
    return 'this API token is not known: it was revoked, or `edgekeep hub claim` replaced it, or it belongs to another hub';
  if (row.personDisabledAt !== null) return 'the owner of this API token is disabled';
  if (row.expires_at <= nowMs) return 'this API token has expired: ask for a new one';
  return {
    tokenSha256: row.sha256,
    person: row.person ?? undefined,
    roles: wordsOf(row.roles),
    scopes: grantedBy(row),
    expiresAtMs: row.expires_at,
    actor: actorOf(row),
  };
}

/** Throws `scope-missing` for a caller without `scope`. */
export function assertScope(caller: Caller, scope: Scope): void {
  if (covers(caller.scopes, scope)) return;
  throw new HubError('scope-missing', `this needs the scope ${scope}; ${caller.actor} has ${caller.scopes.join(' ')}`);
}

/** The scopes of a stored token. */
export function grantedBy(row: Pick<ApiTokenRow, 'roles' | 'scopes'>): readonly Scope[] {
  return scopesOf(wordsOf(row.roles), wordsOf(row.scopes));
}

export function wordsOf(text: string): readonly string[] {
  return text.split(' ').filter((word) => word !== '');
}

function actorOf({ name, person }: Pick<ApiTokenRow, 'name' | 'person'>): string {
  return person === null ? `service:${name}` : `person:${person}/${name}`;
}
