// A question with other facts: two people must look at it before countries or groups change that a policy rests on.
import type { Question } from '@edgekeep/core/policy/question';
import type { simulateRequest } from '@edgekeep/wire/api/policy';
import type { Kysely } from 'kysely';
import type { z } from 'zod';
import { HubError } from '../common/error.ts';
import { inBatches } from '../store/batches.ts';
import type { Tables } from '../store/schema.ts';
import { CountryTable } from './country-table.ts';

export type OtherFacts = Pick<z.infer<typeof simulateRequest>, 'countries' | 'groups'>;

// Enough to find the mistake in a list.
const MISSING_SHOWN_MAX = 10;

/** Returns the changed question; undefined where nothing differs. */
export function changeOf({ countries, groups }: OtherFacts): ((question: Question) => Question) | undefined {
  if (countries === undefined && Object.keys(groups).length === 0) return undefined;
  const table = countries === undefined ? undefined : CountryTable.of(countries);
  return (question) => withGroups(table === undefined ? question : withCountry(question, table), groups);
}

/** Throws `not-found` for a group or device that does not exist: a misspelled one would change nothing, and so seem harmless. */
export async function assertFactsKnown(db: Kysely<Tables>, { groups }: Pick<OtherFacts, 'groups'>): Promise<void> {
  const names = Object.keys(groups);
  const known = await inBatches(names, (part) =>
    db.selectFrom('device_group').select('name').where('name', 'in', part).execute(),
  );
  assertAll(names, new Set(known.map(({ name }) => name)), 'group');
  const ids = [...new Set(Object.values(groups).flatMap(({ add, remove }) => [...add, ...remove]))];
  const devices = await inBatches(ids, (part) =>
    db.selectFrom('device').select('id').where('id', 'in', part).execute(),
  );
  assertAll(ids, new Set(devices.map(({ id }) => id)), 'device');
}

function assertAll(names: readonly string[], known: ReadonlySet<string>, what: 'group' | 'device'): void {
  const missing = names.filter((name) => !known.has(name));
  if (missing.length === 0) return;
  const shown = `${missing.slice(0, MISSING_SHOWN_MAX).join(', ')}${missing.length > MISSING_SHOWN_MAX ? ', …' : ''}`;
  throw new HubError('not-found', `no ${what} ${shown}: \`edgekeep ${what} list\` shows all`);
}

function withCountry<Q extends Question>(question: Q, table: CountryTable): Q {
  const { country: _, ...network } = question.context.network;
  const country = table.countryOf(network.ip);
  return {
    ...question,
    context: { ...question.context, network: { ...network, ...(country === undefined ? {} : { country }) } },
  };
}

function withGroups(question: Question, groups: OtherFacts['groups']): Question {
  const { principal } = question;
  if (principal.kind !== 'device') return question;
  const own = new Set(principal.groups);
  for (const [name, { add, remove }] of Object.entries(groups)) {
    if (add.includes(principal.id)) own.add(name);
    if (remove.includes(principal.id)) own.delete(name);
  }
  return { ...question, principal: { ...principal, groups: [...own] } };
}
