// Changes the owner of a token (spec/operator-access.md): a person claims a new hub, and a service's token gets another maker.
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Caller } from './api-token.ts';
import { inBatches } from '../store/batches.ts';
import { addPerson } from './people.ts';
import { addToken, assertPersonEnabled, endTokens, tokenId } from './token-store.ts';

interface HandOverOrder {
  readonly caller: Caller;
  readonly actor: string;
  readonly nowMs: number;
}

/**
 * Replaces the calling bootstrap by a person's own token. Tokens that the bootstrap made belong to the new token from now on, and end no
 * later than it. Throws `conflict` for a caller that is no bootstrap.
 */
export async function claimHub(
  database: Database,
  order: HandOverOrder & { readonly name: string; readonly sha256: string; readonly lifeSeconds: number },
): Promise<{ readonly name: string; readonly id: string; readonly expiresAt: number }> {
  const { caller, actor, nowMs, name, sha256, lifeSeconds } = order;
  const expiresAt = nowMs + lifeSeconds * 1_000;
  await database.write(async (trx) => {
    const { bootstrap } = await trx
      .selectFrom('api_token')
      .select('bootstrap')
      .where('sha256', '=', caller.tokenSha256)
      .executeTakeFirstOrThrow();
    if (bootstrap === 0)
      throw new HubError('conflict', 'only the first operator file of a hub is claimed: `edgekeep token create`');
    const known = await trx.selectFrom('person').select('name').where('name', '=', name).executeTakeFirst();
    if (known === undefined) await addPerson(trx, { name, actor, nowMs });
    else await assertPersonEnabled(trx, name);
    const token = {
      sha256,
      name: 'claimed',
      person: name,
      roles: ['administrator'],
      scopes: [],
      expiresAtMs: expiresAt,
    };
    await addToken(trx, { ...token, derivedFrom: undefined, actor, nowMs });
    await adoptChildren(trx, caller, { sha256, expiresAt, person: name });
    await trx.updateTable('api_token').set({ claimed_as: sha256 }).where('sha256', '=', caller.tokenSha256).execute();
    await endTokens(trx, [caller.tokenSha256], nowMs);
    const data = { id: tokenId(sha256), bootstrap: tokenId(caller.tokenSha256) };
    await appendEntry(trx, { at: nowMs, kind: 'hub-claimed', actor, subject: `person:${name}`, data });
  });
  return { name, id: tokenId(sha256), expiresAt };
}

/**
 * Makes the caller's token the maker of a service's token: the service's token ends together with the caller's, and no later than before.
 */
export async function handOverToken(
  database: Database,
  order: HandOverOrder & { readonly id: string },
): Promise<{ readonly id: string; readonly expiresAt: number }> {
  const { caller, actor, nowMs, id } = order;
  return database.write(async (trx) => {
    const row = await trx
      .selectFrom('api_token')
      .select(['sha256', 'name', 'person', 'expires_at', 'derived_from'])
      .where('sha256', '>=', id)
      .where('sha256', '<', `${id}g`)
      .where('revoked_at', 'is', null)
      .where('expires_at', '>', nowMs)
      .executeTakeFirst();
    if (row === undefined) throw new HubError('not-found', `no API token with the id ${JSON.stringify(id)} is valid`);
    if (row.person !== null)
      throw new HubError('conflict', `${row.name} is a token of ${row.person}: only a service's is handed over`);
    if (caller.person === undefined)
      throw new HubError('conflict', 'a service cannot take a token over: use a token of a person');
    const expiresAt = Math.min(row.expires_at, caller.expiresAtMs);
    await trx
      .updateTable('api_token')
      .set({ derived_from: caller.tokenSha256, expires_at: expiresAt })
      .where('sha256', '=', row.sha256)
      .execute();
    await endLater(trx, row.sha256, expiresAt);
    const data = {
      id,
      from: row.derived_from === null ? '' : tokenId(row.derived_from),
      to: tokenId(caller.tokenSha256),
    };
    await appendEntry(trx, { at: nowMs, kind: 'api-token-handed-over', actor, subject: `token:${row.name}`, data });
    return { id, expiresAt };
  });
}

async function adoptChildren(
  trx: WriteTransaction,
  from: Caller,
  to: { readonly sha256: string; readonly expiresAt: number; readonly person: string },
): Promise<void> {
  const { sha256, expiresAt, person } = to;
  await trx
    .updateTable('api_token')
    .set({ derived_from: sha256 })
    .where('derived_from', '=', from.tokenSha256)
    .execute();
  await endLater(trx, sha256, expiresAt);
  // Under the name on the bootstrap they would count as a second person, and could approve their own requests.
  if (from.person !== undefined) await renameOwner(trx, [sha256], from.person, person);
}

async function renameOwner(trx: WriteTransaction, makers: readonly string[], from: string, to: string): Promise<void> {
  if (makers.length === 0) return;
  const children = await inBatches(makers, async (part) =>
    trx.selectFrom('api_token').select(['sha256', 'person']).where('derived_from', 'in', part).execute(),
  );
  const own = children.filter(({ person }) => person === from).map(({ sha256 }) => sha256);
  await inBatches(own, async (part) =>
    trx.updateTable('api_token').set({ person: to }).where('sha256', 'in', part).returning('sha256').execute(),
  );
  await renameOwner(
    trx,
    children.map(({ sha256 }) => sha256),
    from,
    to,
  );
}

// A family of tokens ends with its eldest.
async function endLater(trx: WriteTransaction, maker: string, expiresAt: number): Promise<void> {
  const children = await trx
    .updateTable('api_token')
    .set({ expires_at: expiresAt })
    .where('derived_from', '=', maker)
    .where('expires_at', '>', expiresAt)
    .returning('sha256')
    .execute();
  for (const { sha256 } of children) await endLater(trx, sha256, expiresAt);
}
