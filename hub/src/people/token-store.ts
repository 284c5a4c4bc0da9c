// Making, listing and ending API tokens (spec/operator-access.md). A token for another person is registered by its SHA-256, so that only
// its owner ever has the text. Nobody grants more rights than they have.
import { formerScope, presentScope } from '@edgekeep/core/policy/former-scopes';
import { randomBytes } from 'node:crypto';
import type { apiTokenRequest, TokenView } from '@edgekeep/wire/api/people';
import type { z } from 'zod';
import { type ExpressionBuilder, type Kysely, sql } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { scopes } from '../common/declarations.ts';
import { HubError } from '../common/error.ts';
import { inBatches } from '../store/batches.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { ApiTokenRow } from '../store/tables/people.ts';
import type { Tables } from '../store/schema.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { type Caller, grantedBy, tokenPrefix, wordsOf } from './api-token.ts';
import { noteFormerName } from '../common/former-names.ts';
import { covers, isRole, roles, type Scope, scopeNamed, scopesOf } from './roles.ts';

const idLength = 16;
const usualLifeDays = 90;

export interface TokenOrder {
  readonly name: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** The owner: a person, or `service`; undefined for the caller's own kind. */
  readonly owner: { readonly kind: 'person'; readonly name: string } | { readonly kind: 'service' } | undefined;
  /** The hash of the token's text, where its owner made it. */
  readonly sha256: string | undefined;
  /** Undefined for the default life, or the rest of its maker's life. */
  readonly lifeSeconds: number | undefined;
}

/** The order in a request. */
export function tokenOrderOf({ person, service, ...body }: z.infer<typeof apiTokenRequest>): TokenOrder {
  const owner =
    person === undefined
      ? service === undefined
        ? undefined
        : ({ kind: 'service' } as const)
      : ({ kind: 'person', name: person } as const);
  return { ...body, sha256: body.sha256, lifeSeconds: body.lifeSeconds, owner };
}

export interface CreatedToken {
  readonly id: string;
  /** Undefined where the owner has it already. */
  readonly token: string | undefined;
  readonly expiresAt: number;
}

/** The first 16 digits of the hash: enough to name a token, useless for guessing it. */
export function tokenId(sha256: string): string {
  return sha256.slice(0, idLength);
}

export function newTokenText(): string {
  return tokenPrefix + randomBytes(32).toString('base64url');
}

/** The owner of the token that a request makes. */
export function ownerOf(order: Pick<TokenOrder, 'owner'>, caller: Pick<Caller, 'person'>): string | undefined {
  if (order.owner === undefined) return caller.person;
  return order.owner.kind === 'person' ? order.owner.name : undefined;
}

/** Makes a token by the rights of `caller`, with its audit entry. */
export async function createToken(
  database: Database,
  order: TokenOrder,
  by: { readonly caller: Caller; readonly actor: string; readonly nowMs: number; readonly maxLifeDays: number },
): Promise<CreatedToken> {
  const { caller, actor, nowMs, maxLifeDays } = by;
  const granted = grantsOf(order);
  if (order.lifeSeconds !== undefined && order.lifeSeconds > maxLifeDays * 86_400)
    throw new HubError('request-invalid', `a token is valid for at most ${maxLifeDays} days here (tokens.maxLifeDays)`);
  const person = ownerOf(order, caller);
  if (!covers(caller.scopes, 'admin')) assertNarrower(caller, { granted, person });
  const isOwn = person === undefined || person === caller.person;
  const usual = nowMs + Math.min(usualLifeDays, maxLifeDays) * 86_400_000;
  const unasked = isOwn ? Math.min(usual, caller.expiresAtMs) : usual;
  const expiresAt = order.lifeSeconds === undefined ? unasked : nowMs + order.lifeSeconds * 1_000;
  // For any rights: a thief must not make a token that outlives the revocation of the stolen one.
  if (isOwn) assertEndsWith(caller, expiresAt);
  if (!isOwn && order.sha256 === undefined) {
    throw new HubError(
      'request-invalid',
      `${person} makes the token and you register its SHA-256, so that nobody else ever has it: \`edgekeep token prepare\``,
    );
  }
  const text = order.sha256 === undefined ? newTokenText() : undefined;
  const sha256 = order.sha256 ?? sha256Hex(text ?? '');
  await database.write(async (trx) => {
    if (person !== undefined) await assertPersonEnabled(trx, person);
    await addToken(trx, {
      sha256,
      name: order.name,
      person,
      roles: order.roles,
      scopes: order.scopes.map(presentScope),
      expiresAtMs: expiresAt,
      derivedFrom: isOwn ? caller.tokenSha256 : undefined,
      actor,
      nowMs,
    });
  });
  return { id: tokenId(sha256), token: text, expiresAt };
}

function grantsOf(order: TokenOrder): readonly Scope[] {
  for (const former of order.scopes.flatMap((name) => formerScope(name) ?? [])) noteFormerName(former);
  for (const name of order.scopes)
    if (scopeNamed(name) === undefined)
      throw new HubError('request-invalid', `no scope ${JSON.stringify(name)}: there are ${scopes.join(', ')}`);
  for (const name of order.roles)
    if (!isRole(name)) {
      const known = Object.keys(roles).join(', ');
      throw new HubError('request-invalid', `no role ${JSON.stringify(name)}: there are ${known}`);
    }
  return scopesOf(order.roles, order.scopes);
}

function assertNarrower(
  caller: Caller,
  wanted: { readonly granted: readonly Scope[]; readonly person: string | undefined },
): void {
  const beyond = wanted.granted.filter((scope) => !covers(caller.scopes, scope));
  if (beyond.length > 0) {
    throw new HubError(
      'scope-missing',
      `a token makes others with at most its own scopes; it lacks ${beyond.join(' ')}`,
    );
  }
  if (wanted.person !== caller.person) {
    throw new HubError('scope-missing', 'only a token with the scope admin makes tokens for others and for services');
  }
}

function assertEndsWith(caller: Caller, expiresAt: number): void {
  if (expiresAt <= caller.expiresAtMs) return;
  const ends = new Date(caller.expiresAtMs).toISOString().slice(0, 16);
  throw new HubError(
    'request-invalid',
    `a token makes others that end no later than itself, at ${ends} UTC: ask for a shorter life (a new hub: \`edgekeep hub claim\` first)`,
  );
}

/** Throws for a person who is unknown or disabled. */
export async function assertPersonEnabled(trx: WriteTransaction, name: string): Promise<void> {
  const row = await trx.selectFrom('person').select('disabled_at').where('name', '=', name).executeTakeFirst();
  if (row === undefined)
    throw new HubError('not-found', `no person ${JSON.stringify(name)}: \`edgekeep person add\` adds one`);
  if (row.disabled_at !== null) throw new HubError('conflict', `${name} is disabled: \`edgekeep person enable\``);
}

/** Records a token and its entry. Throws `conflict` for a text that was registered before. */
export async function addToken(
  trx: WriteTransaction,
  token: {
    readonly sha256: string;
    readonly name: string;
    readonly person: string | undefined;
    readonly roles: readonly string[];
    readonly scopes: readonly string[];
    readonly expiresAtMs: number;
    readonly derivedFrom: string | undefined;
    readonly bootstrap?: boolean;
    readonly actor: string;
    readonly nowMs: number;
  },
): Promise<void> {
  const { sha256, name, person, actor, nowMs } = token;
  const same = await trx.selectFrom('api_token').select('name').where('sha256', '=', sha256).executeTakeFirst();
  if (same !== undefined) throw new HubError('conflict', 'this token was registered before: make another');
  const words = { roles: token.roles.join(' '), scopes: token.scopes.join(' ') };
  await trx
    .insertInto('api_token')
    .values({
      ...words,
      sha256,
      name,
      person: person ?? null,
      created_at: nowMs,
      created_by: actor,
      derived_from: token.derivedFrom ?? null,
      bootstrap: token.bootstrap === true ? 1 : 0,
      expires_at: token.expiresAtMs,
      revoked_at: null,
    })
    .execute();
  const data = { ...words, id: tokenId(sha256), person, expiresAt: token.expiresAtMs };
  await appendEntry(trx, { at: nowMs, kind: 'api-token-created', actor, subject: `token:${name}`, data });
}

/**
 * Ends the caller's tokens of this name, or the one with this id, and all tokens that they made. Returns the number. If only other people
 * have tokens of this name: with `admin`, ends those of the one person who has them; throws `conflict` with the list when several people
 * do.
 */
export async function revokeTokens(
  database: Database,
  nameOrId: string,
  by: { readonly caller: Caller; readonly actor: string; readonly nowMs: number },
): Promise<number> {
  const { caller, actor, nowMs } = by;
  return database.write(async (trx) => {
    const first = await namedTokens(trx, nameOrId, caller);
    const count = await endTokens(trx, first, nowMs);
    const subject = `token:${nameOrId}`;
    await appendEntry(trx, { at: nowMs, kind: 'api-token-revoked', actor, subject, data: { count } });
    return count;
  });
}

async function namedTokens(trx: WriteTransaction, nameOrId: string, caller: Caller): Promise<readonly string[]> {
  const rows = await trx
    .selectFrom('api_token')
    .select(['sha256', 'name', 'person'])
    .where('revoked_at', 'is', null)
    .where((q) => q.or([q('name', '=', nameOrId), ...(isTokenId(nameOrId) ? [startsWithId(q, nameOrId)] : [])]))
    .execute();
  const visible = covers(caller.scopes, 'admin') ? rows : rows.filter(({ person }) => person === callerPerson(caller));
  const byId = visible.filter(({ sha256 }) => tokenId(sha256) === nameOrId);
  const own = visible.filter(({ person }) => person === callerPerson(caller));
  const found = byId.length > 0 ? byId : own.length > 0 ? own : visible;
  if (found.length === 0) throw new HubError('not-found', `no API token ${JSON.stringify(nameOrId)} is valid`);
  if (new Set(found.map(({ person }) => person)).size > 1) {
    const reasons = found.map(({ sha256, person, name }) => ({
      code: 'token-named',
      message: `${tokenId(sha256)}: ${name} of ${person ?? 'a service'}`,
    }));
    const message = `several people have a token named ${JSON.stringify(nameOrId)}: name one by its id`;
    throw new HubError('conflict', message, { reasons });
  }
  return found.map(({ sha256 }) => sha256);
}

const callerPerson = ({ person }: Caller): string | null => person ?? null;

/** Ends these tokens and all that derive from them, at any depth: a thief makes one from the other. Returns how many were valid. */
export async function endTokens(trx: WriteTransaction, sha256s: readonly string[], nowMs: number): Promise<number> {
  const ended = await inBatches(sha256s, async (part) => {
    const family = sql`with recursive family (sha256) as (
      select sha256 from api_token where sha256 in (${sql.join(part)})
      union
      select child.sha256 from api_token as child join family on child.derived_from = family.sha256)`;
    const { rows } = await sql<{ sha256: string }>`${family} update api_token set revoked_at = ${nowMs}
      where revoked_at is null and sha256 in (select sha256 from family) returning sha256`.execute(trx);
    return rows;
  });
  return ended.length;
}

export interface TokenPage {
  readonly person?: string | undefined;
  readonly state: 'valid' | 'any';
  readonly after: string;
  readonly limit: number;
  readonly nowMs: number;
}

/** Tokens by id; only those of `person` where it is given. */
export async function listTokens(db: Kysely<Tables>, page: TokenPage): Promise<readonly TokenView[]> {
  let rows = db
    .selectFrom('api_token')
    .selectAll()
    .where('sha256', '>', page.after === '' ? '' : `${page.after}g`)
    .orderBy('sha256')
    .limit(page.limit);
  if (page.person !== undefined) rows = rows.where('person', '=', page.person);
  if (page.state === 'valid') rows = rows.where('revoked_at', 'is', null).where('expires_at', '>', page.nowMs);
  return (await rows.execute()).map(viewOf);
}

export async function getToken(db: Kysely<Tables>, id: string): Promise<TokenView> {
  const row = isTokenId(id)
    ? await db
        .selectFrom('api_token')
        .selectAll()
        .where((q) => startsWithId(q, id))
        .executeTakeFirst()
    : undefined;
  if (row === undefined)
    throw new HubError('not-found', `no API token has the id ${JSON.stringify(id)}: \`edgekeep token list\` shows all`);
  return viewOf(row);
}

function isTokenId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

function startsWithId(q: ExpressionBuilder<Tables, 'api_token'>, id: string) {
  return q.and([q('sha256', '>=', id), q('sha256', '<', `${id}g`)]);
}

function viewOf(row: ApiTokenRow): TokenView {
  return {
    id: tokenId(row.sha256),
    name: row.name,
    person: row.person,
    roles: [...wordsOf(row.roles)],
    scopes: [...grantedBy(row)],
    createdAt: row.created_at,
    createdBy: row.created_by,
    endsWith: row.derived_from === null ? null : tokenId(row.derived_from),
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
    lastUsedFrom: row.last_used_from,
  };
}
