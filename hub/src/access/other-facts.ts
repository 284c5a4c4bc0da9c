// A question with other facts: two people must look at it before countries or groups change that a policy rests on.
import type { Question } from '@edgekeep/core/policy/question';
import type { simulateOrder } from '@edgekeep/wire/api/policy';
import type { z } from 'zod';
import { CountryTable } from './country-table.ts';

export type OtherFacts = Pick<z.infer<typeof simulateOrder>, 'countries' | 'groups'>;

/** Returns the changed question; undefined where nothing differs. */
export function changeOf({ countries, groups }: OtherFacts): ((question: Question) => Question) | undefined {
  if (countries === undefined && Object.keys(groups).length === 0) return undefined;
  const table = countries === undefined ? undefined : CountryTable.of(countries);
  return (question) => withGroups(table === undefined ? question : withCountry(question, table), groups);
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
