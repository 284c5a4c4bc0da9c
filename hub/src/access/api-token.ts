// API tokens for people and programs: 32 random bytes shown once, kept as a SHA-256, with scopes and an expiry.
import { createHash, randomBytes } from 'node:crypto';
import { HubError } from '../error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';

/** What a token may do; `admin` is all of it. */
export const scopes = [
  'devices:read',
  'devices:write',
  'enrolment:write',
  'models:read',
  'models:publish',
  'policy:write',
  'audit:read',
  'metrics:read',
  'alerts:read',
  'alerts:write',
  'admin',
] as const;
export type Scope = (typeof scopes)[number];

const prefix = 'ek_';

export interface ApiToken {
  readonly name: string;
  readonly scopes: readonly string[];
}

export function sha256Hex(value: string | Uint8Array): string {
  return createHash('sha256').update(value).digest('hex');
}

/** Makes a token and its row; the text is shown to its owner once and never stored. */
export async function createApiToken(
  trx: WriteTransaction,
  token: {
    readonly name: string;
    readonly scopes: readonly Scope[];
    readonly nowMs: number;
    readonly expiresAtMs: number;
  },
): Promise<string> {
  const text = prefix + randomBytes(32).toString('base64url');
  await trx
    .insertInto('api_token')
    .values({
      sha256: sha256Hex(text),
      name: token.name,
      scopes: token.scopes.join(' '),
      created_at: token.nowMs,
      expires_at: token.expiresAtMs,
      revoked_at: null,
    })
    .execute();
  return text;
}

/** Ends every token of this name at once; returns how many there were. */
export async function revokeApiTokens(trx: WriteTransaction, name: string, nowMs: number): Promise<number> {
  const result = await trx
    .updateTable('api_token')
    .set({ revoked_at: nowMs })
    .where('name', '=', name)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/** The token behind an Authorization header, or an error: missing, unknown, expired, revoked, or without the scope. */
export async function authorize(
  database: Database,
  header: string | undefined,
  scope: Scope,
  nowMs: number,
): Promise<ApiToken> {
  const match = /^Bearer (ek_[A-Za-z0-9_-]{43})$/.exec(header ?? '');
  const text = match?.[1];
  if (text === undefined) throw new HubError('token-required', 'send an API token: Authorization: Bearer ek_…');
  // The look-up is by hash: what an attacker can time is the hash of his own guess.
  const row = await database.read
    .selectFrom('api_token')
    .selectAll()
    .where('sha256', '=', sha256Hex(text))
    .executeTakeFirst();
  if (row === undefined || row.revoked_at !== null) throw new HubError('token-refused', 'this API token is not known');
  if (row.expires_at <= nowMs) throw new HubError('token-refused', 'this API token has expired: ask for a new one');
  const granted = row.scopes.split(' ');
  if (!granted.includes(scope) && !granted.includes('admin')) {
    throw new HubError('scope-missing', `this needs the scope ${scope}; the token ${row.name} has ${row.scopes}`);
  }
  return { name: row.name, scopes: granted };
}
