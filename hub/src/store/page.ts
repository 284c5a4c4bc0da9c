// Lists that may be long: their queries, views and JSON are made by the reading thread, so that the event loop only sends bytes.
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { type Document, documentOf } from './document.ts';
import type { Tables } from './schema.ts';

export interface Page<Query, Answer extends z.ZodType> {
  readonly name: string;
  readonly query: z.ZodType<Query>;
  readonly answer: Answer;
  readonly make: (db: Kysely<Tables>, query: Query) => Promise<z.output<Answer>>;
}

/** A page that takes its query from another thread, and gives JSON. */
export interface EncodedPage {
  readonly name: string;
  readonly make: (db: Kysely<Tables>, query: unknown) => Promise<Uint8Array<ArrayBuffer>>;
}

/** A long document for everybody. */
export interface PublicDocument<Query> {
  readonly name: string;
  readonly query: z.ZodType<Query>;
  readonly make: (db: Kysely<Tables>, query: Query) => Promise<Uint8Array>;
}

/** A document that takes its query from another thread, and is compressed and named there. */
export interface EncodedDocument {
  readonly name: string;
  readonly make: (db: Kysely<Tables>, query: unknown) => Promise<Document>;
}

export function compressed<Query>({ name, query, make }: PublicDocument<Query>): EncodedDocument {
  return { name, make: async (db, input) => documentOf(await make(db, query.parse(input))) };
}

export function encoded<Query, Answer extends z.ZodType>(page: Page<Query, Answer>): EncodedPage {
  const { name, query, answer, make } = page;
  return {
    name,
    async make(db, input) {
      const made = await make(db, query.parse(input));
      return new TextEncoder().encode(JSON.stringify(z.encode(answer, made)));
    },
  };
}
