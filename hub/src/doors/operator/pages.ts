// Answers with a page of a list: a short one is made on the event loop, where it waits for nobody's long one; a long one in the reading thread.
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import type { Database } from '../../store/database.ts';
import type { Page } from '../../store/page.ts';

/** Rows that the event loop makes itself, of a page that reads no more than it shows. */
export const SHORT_MAX = 100;

export async function sendPage<Query, Answer extends z.ZodType>(
  database: Database,
  reply: FastifyReply,
  page: Page<Query, Answer>,
  { query, short }: { readonly query: Query; readonly short: boolean },
): Promise<FastifyReply> {
  if (short) return reply.send(await page.make(database.read, query));
  const bytes = await database.pageApart(page.name, query);
  return reply.type('application/json; charset=utf-8').send(bytes);
}
