// The thread that does slow reads (store/apart.ts): its own connection, which cannot write, and a lower priority than the event loop has.
import { messageOf } from '@edgekeep/core/message-of';
import { constants, setPriority } from 'node:os';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { CompiledQuery, type Kysely } from 'kysely';
import { HubError, type HubErrorCode, type Reason } from '../common/error.ts';
import type { Document } from './document.ts';
import { openReader, storePlaceSchema } from './engine/place.ts';
import type { Parameter } from './engine/parameter.ts';
import type { EncodedDocument, EncodedPage } from './page.ts';
import type { Tables } from './schema.ts';

export type Question =
  | { readonly kind: 'query'; readonly sql: string; readonly parameters: readonly Parameter[] }
  | { readonly kind: 'page' | 'document'; readonly name: string; readonly query: unknown };

export type Answer<Row> =
  | { readonly kind: 'rows'; readonly rows: Row[] }
  | { readonly kind: 'page'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'document'; readonly document: Document }
  | {
      readonly kind: 'refused';
      readonly code: HubErrorCode;
      readonly message: string;
      readonly reasons: readonly Reason[];
    }
  | { readonly kind: 'failed'; readonly message: string };

export interface ReadResult<Row> {
  readonly answer: Answer<Row>;
  /** Of the thread's processor time: at its low priority it waits for others, and that is no work. */
  readonly milliseconds: number;
}

/** What a thread makes, besides rows. */
export interface Makers {
  readonly pages: readonly EncodedPage[];
  readonly documents: readonly EncodedDocument[];
}

/** Answers questions until the thread is ended. */
export async function answerQuestions(makers: Makers): Promise<void> {
  if (parentPort === null) throw new TypeError('this file runs as a thread');
  // On Linux this is the priority of the calling thread alone; elsewhere it would be the whole hub's.
  if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  answerOn(parentPort, await openReader<Tables>(storePlaceSchema.parse(workerData)), makers);
}

function answerOn(questions: MessagePort, db: Kysely<Tables>, makers: Makers): void {
  // One at a time: the next is sent when this one was answered.
  const answer = async (question: Question): Promise<void> => {
    const began = process.threadCpuUsage();
    const found = await answerTo(question, db, makers).catch(failure);
    const { user, system } = process.threadCpuUsage(began);
    const answered: ReadResult<unknown> = { answer: found, milliseconds: (user + system) / 1_000 };
    questions.postMessage(answered, buffersOf(found));
  };
  questions.on('message', (question: Question) => void answer(question));
}

function buffersOf(answer: Answer<unknown>): readonly ArrayBuffer[] {
  if (answer.kind === 'page') return [answer.bytes.buffer];
  if (answer.kind === 'document') return [answer.document.bytes.buffer, answer.document.gzip.buffer];
  return [];
}

async function answerTo(
  question: Question,
  db: Kysely<Tables>,
  { pages, documents }: Makers,
): Promise<Answer<unknown>> {
  if (question.kind === 'query') {
    const { rows } = await db.executeQuery(CompiledQuery.raw(question.sql, [...question.parameters]));
    return { kind: 'rows', rows };
  }
  const { kind, name, query } = question;
  if (kind === 'document') return { kind, document: await named(documents, name).make(db, query) };
  return { kind, bytes: await named(pages, name).make(db, query) };
}

function named<T extends { readonly name: string }>(makers: readonly T[], name: string): T {
  const found = makers.find((each) => each.name === name);
  if (found === undefined) throw new TypeError(`this thread makes no ${name}`);
  return found;
}

function failure(error: unknown): Answer<never> {
  if (error instanceof HubError)
    return { kind: 'refused', code: error.code, message: error.message, reasons: error.reasons };
  return { kind: 'failed', message: messageOf(error) };
}
