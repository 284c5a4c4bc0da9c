// Pages of people, and of API tokens.
import { personList, personNameSchema, tokenIdSchema, tokenList } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { listPeople } from '../../people/people.ts';
import { listTokens } from '../../people/token-store.ts';
import type { Page } from '../../store/page.ts';

const people = z.object({ nowMs: z.number(), twoPeople: z.boolean() });

/** Everybody; the answer says as well whether root operations wait for a second person. */
export const peoplePage: Page<z.infer<typeof people>, typeof personList> = {
  name: 'people',
  query: people,
  answer: personList,
  make: async (db, { nowMs, twoPeople }) => ({ people: [...(await listPeople(db, nowMs))], twoPeople }),
};

export const tokenQuery = z.strictObject({
  person: personNameSchema.optional(),
  state: z.enum(['valid', 'any']).default('valid'),
  after: z.union([z.literal(''), tokenIdSchema]).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

const tokens = tokenQuery.extend({ nowMs: z.number() });

export const tokenPage: Page<z.infer<typeof tokens>, typeof tokenList> = {
  name: 'tokens',
  query: tokens,
  answer: tokenList,
  async make(db, query) {
    const found = [...(await listTokens(db, query))];
    return { tokens: found, next: found.length === query.limit ? (found.at(-1)?.id ?? null) : null };
  },
};
