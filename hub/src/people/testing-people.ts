// For tests: people and services with API tokens.
import assert from 'node:assert/strict';
import { sha256Hex } from '@edgekeep/core/digest';
import type { Database } from '../store/database.ts';
import { type Caller, findCaller } from './api-token.ts';
import { addPerson } from './people.ts';
import { addToken } from './token-store.ts';

export interface TestToken {
  readonly person?: string;
  readonly name?: string;
  readonly roles?: readonly string[];
  readonly scopes?: readonly string[];
  readonly expiresAtMs?: number;
  readonly bootstrap?: boolean;
}

export const tokensMadeMs = 1_800_000_000_000;

/** Gives a token to a person, who is added if new, or to a service. */
export async function giveToken(database: Database, token: TestToken): Promise<Caller> {
  const { person, name = 'desk', roles = [], scopes = [], bootstrap = false } = token;
  const sha256 = sha256Hex(`${person ?? 'service'}/${name}`);
  const by = { actor: 'test', nowMs: tokensMadeMs };
  await database.write(async (trx) => {
    const known = await trx
      .selectFrom('person')
      .select('name')
      .where('name', '=', person ?? '')
      .executeTakeFirst();
    if (person !== undefined && known === undefined) await addPerson(trx, { name: person, ...by });
    const expiresAtMs = token.expiresAtMs ?? tokensMadeMs + 86_400_000;
    await addToken(trx, { sha256, name, person, roles, scopes, expiresAtMs, derivedFrom: undefined, bootstrap, ...by });
  });
  return callerOf(database, sha256);
}

/** The present holder of the token. */
export async function callerOf(
  { read }: Pick<Database, 'read'>,
  sha256: string,
  nowMs = tokensMadeMs,
): Promise<Caller> {
  const caller = await findCaller(read, sha256, nowMs);
  if (typeof caller === 'string') assert.fail(caller);
  return caller;
}

/** Why the token is not valid. */
export async function whyNot({ read }: Pick<Database, 'read'>, sha256: string, nowMs = tokensMadeMs): Promise<string> {
  const caller = await findCaller(read, sha256, nowMs);
  return typeof caller === 'string' ? caller : assert.fail(`${caller.actor} is let in`);
}
