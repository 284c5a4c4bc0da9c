// People who hold API tokens (spec/operator-access.md, "People"). A person is never deleted: the log names them.
import type { PersonView } from '@edgekeep/wire/api/people';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { assertNoHost } from '../store/hub-names.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import { endTokens } from './token-store.ts';

/** The API lists all people in one response. */
const PEOPLE_MAX = 1_000;

interface PersonOrder {
  readonly name: string;
  readonly actor: string;
  readonly nowMs: number;
}

export async function addPerson(trx: WriteTransaction, { name, actor, nowMs }: PersonOrder): Promise<void> {
  await assertNoHost(trx, 'person', name);
  const known = await trx.selectFrom('person').select('name').where('name', '=', name).executeTakeFirst();
  if (known !== undefined)
    throw new HubError('conflict', `person ${name} exists already: \`edgekeep person list\` shows all`);
  const { count } = await trx
    .selectFrom('person')
    .select((q) => q.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  if (count >= PEOPLE_MAX) throw new HubError('conflict', `there are ${PEOPLE_MAX} people, which is the limit`);
  const row = { name, added_at: nowMs, disabled_at: null, disabled_reason: null };
  await trx.insertInto('person').values(row).execute();
  await appendEntry(trx, { at: nowMs, kind: 'person-added', actor, subject: `person:${name}`, data: {} });
}

/** Ends all tokens of a person at once and refuses further ones. Returns the number ended. */
export async function disablePerson(
  database: Database,
  order: PersonOrder & { readonly reason: string },
): Promise<number> {
  const { name, reason, actor, nowMs } = order;
  return database.write(async (trx) => {
    await getPerson(trx, name);
    const change = { disabled_at: nowMs, disabled_reason: reason };
    await trx.updateTable('person').set(change).where('name', '=', name).where('disabled_at', 'is', null).execute();
    const own = await trx
      .selectFrom('api_token')
      .select('sha256')
      .where('person', '=', name)
      .where('revoked_at', 'is', null)
      .execute();
    const tokensEnded = await endTokens(
      trx,
      own.map(({ sha256 }) => sha256),
      nowMs,
    );
    const data = { reason, tokensEnded };
    await appendEntry(trx, { at: nowMs, kind: 'person-disabled', actor, subject: `person:${name}`, data });
    return tokensEnded;
  });
}

/** Lets a person hold tokens again; ended tokens stay ended. */
export async function enablePerson(database: Database, { name, actor, nowMs }: PersonOrder): Promise<void> {
  await database.write(async (trx) => {
    const { disabledAt } = await getPerson(trx, name);
    if (disabledAt === null) return;
    const change = { disabled_at: null, disabled_reason: null };
    await trx.updateTable('person').set(change).where('name', '=', name).execute();
    await appendEntry(trx, { at: nowMs, kind: 'person-enabled', actor, subject: `person:${name}`, data: {} });
  });
}

async function getPerson(db: Kysely<Tables>, name: string): Promise<{ readonly disabledAt: number | null }> {
  const row = await db
    .selectFrom('person')
    .select('disabled_at as disabledAt')
    .where('name', '=', name)
    .executeTakeFirst();
  if (row === undefined)
    throw new HubError('not-found', `no person ${JSON.stringify(name)}: \`edgekeep person list\` shows all`);
  return row;
}

export async function listPeople(db: Kysely<Tables>, nowMs: number): Promise<readonly PersonView[]> {
  const rows = await db
    .selectFrom('person')
    .select((q) => [
      'name',
      'added_at as addedAt',
      'disabled_at as disabledAt',
      'disabled_reason as disabledReason',
      q
        .selectFrom('api_token')
        .select((t) => t.fn.countAll<number>().as('count'))
        .whereRef('api_token.person', '=', 'person.name')
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', nowMs)
        .as('tokens'),
    ])
    .orderBy('name')
    .execute();
  return rows.map((row) => ({ ...row, tokens: row.tokens ?? 0 }));
}
