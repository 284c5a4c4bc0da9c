// What waits for each webhook, in the store: one row for each event that it has not got. A row goes when its receiver has answered with 2xx, and
// becomes a dead letter after the last attempt.
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { type AlertEvent, isWanted } from '../event/alert-events.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { WebhookDeliveryRow } from '../store/tables/webhook.ts';
import { getWebhook, listWebhooks, subjectOf, termsOf } from './destinations.ts';

/** Of one webhook. What comes beyond it is dead at once, and beyond twice as much the oldest dead ones go: the log still has the events. */
const WAITING_MAX = 10_000;

/** Adds a row for each webhook that wants the event. One that is there already stays as it is. */
export async function enqueue(trx: WriteTransaction, events: readonly AlertEvent[], nowMs: number): Promise<void> {
  for (const webhook of await listWebhooks(trx)) {
    const terms = termsOf(webhook);
    const wanted = events.filter((event) => event.index >= webhook.from_index && isWanted(event, terms));
    if (wanted.length === 0 || webhook.disabled_reason !== null) continue;
    let { waiting } = await countsOf(trx, webhook.name);
    for (const { index } of wanted) {
      const full = waiting >= WAITING_MAX;
      const state = full ? ('dead' as const) : ('waiting' as const);
      const problem = full ? `${WAITING_MAX} events were waiting already` : null;
      const row = { webhook: webhook.name, log_index: index, state, problem, attempts: 0, attempted_at: null };
      await trx
        .insertInto('webhook_delivery')
        .values({ ...row, created_at: nowMs, next_at: nowMs })
        .onConflict((c) => c.columns(['webhook', 'log_index']).doNothing())
        .execute();
      waiting += 1;
    }
    if (waiting >= WAITING_MAX) await clearOldest(trx, webhook.name);
  }
}

/** The next that is due, the oldest event first. */
export async function nextDue(
  db: Kysely<Tables>,
  { webhook, nowMs }: { readonly webhook: string; readonly nowMs: number },
): Promise<WebhookDeliveryRow | undefined> {
  return db
    .selectFrom('webhook_delivery')
    .selectAll()
    .where('webhook', '=', webhook)
    .where('state', '=', 'waiting')
    .where('next_at', '<=', nowMs)
    .orderBy('log_index')
    .limit(1)
    .executeTakeFirst();
}

type Key = Pick<WebhookDeliveryRow, 'webhook' | 'log_index'>;

export async function delivered(trx: WriteTransaction, { webhook, log_index: index }: Key): Promise<void> {
  await trx.deleteFrom('webhook_delivery').where('webhook', '=', webhook).where('log_index', '=', index).execute();
}

export interface FailedAttempt extends Key {
  readonly problem: string;
  readonly nowMs: number;
  /** Null: it was the last attempt. */
  readonly nextAt: number | null;
}

export async function noteAttempt(trx: WriteTransaction, failed: FailedAttempt): Promise<void> {
  const { webhook, log_index: index, problem, nowMs, nextAt } = failed;
  await trx
    .updateTable('webhook_delivery')
    .set((q) => ({
      attempts: q('attempts', '+', 1),
      attempted_at: nowMs,
      problem,
      ...(nextAt === null ? { state: 'dead' as const } : { next_at: nextAt }),
    }))
    .where('webhook', '=', webhook)
    .where('log_index', '=', index)
    .where('state', '=', 'waiting')
    .execute();
}

export interface DeliveryCounts {
  readonly waiting: number;
  readonly dead: number;
  /** When the oldest that waits was added. */
  readonly oldestAt: number | null;
}

export async function countsOf(db: Kysely<Tables>, webhook: string): Promise<DeliveryCounts> {
  const rows = await db
    .selectFrom('webhook_delivery')
    .select((q) => ['state', q.fn.countAll<number>().as('count'), q.fn.min('created_at').as('oldest')])
    .where('webhook', '=', webhook)
    .groupBy('state')
    .execute();
  const of = (state: WebhookDeliveryRow['state']) => rows.find((row) => row.state === state);
  return { waiting: of('waiting')?.count ?? 0, dead: of('dead')?.count ?? 0, oldestAt: of('waiting')?.oldest ?? null };
}

/** Why the newest failed attempt failed, among those that wait or are dead. */
export async function newestProblem(db: Kysely<Tables>, webhook: string): Promise<string | null> {
  const row = await db
    .selectFrom('webhook_delivery')
    .select('problem')
    .where('webhook', '=', webhook)
    .where('problem', 'is not', null)
    .orderBy('attempted_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.problem ?? null;
}

export async function listDead(
  db: Kysely<Tables>,
  page: { readonly webhook: string; readonly after: number; readonly limit: number },
): Promise<readonly WebhookDeliveryRow[]> {
  return db
    .selectFrom('webhook_delivery')
    .selectAll()
    .where('webhook', '=', page.webhook)
    .where('state', '=', 'dead')
    .where('log_index', '>', page.after)
    .orderBy('log_index')
    .limit(page.limit)
    .execute();
}

export interface LettersOrder {
  readonly name: string;
  readonly letters: 'all' | readonly number[];
  readonly actor: string;
  readonly nowMs: number;
}

/** Dead letters begin anew. Returns their number. */
export async function retryLetters(database: Database, { name, letters, actor, nowMs }: LettersOrder): Promise<number> {
  return database.write(async (trx) => {
    await getWebhook(trx, name);
    const dead = trx.updateTable('webhook_delivery').set({ state: 'waiting', attempts: 0, next_at: nowMs });
    const these = dead.where('webhook', '=', name).where('state', '=', 'dead');
    const chosen = letters === 'all' ? these : these.where('log_index', 'in', [...letters]);
    const { numUpdatedRows } = await chosen.executeTakeFirst();
    const data = { letters: Number(numUpdatedRows) };
    const event = { at: nowMs, kind: 'dead-letters-retried', actor, subject: subjectOf(name), data };
    if (data.letters > 0) await appendEntry(trx, event);
    return data.letters;
  });
}

/** Dead letters go. The log still has the events. Returns their number. */
export async function dropLetters(
  database: Database,
  { name, letters, reason, actor, nowMs }: LettersOrder & { readonly reason: string },
): Promise<number> {
  return database.write(async (trx) => {
    await getWebhook(trx, name);
    const these = trx.deleteFrom('webhook_delivery').where('webhook', '=', name).where('state', '=', 'dead');
    const chosen = letters === 'all' ? these : these.where('log_index', 'in', [...letters]);
    const { numDeletedRows } = await chosen.executeTakeFirst();
    const data = { letters: Number(numDeletedRows), reason };
    const event = { at: nowMs, kind: 'dead-letters-dropped', actor, subject: subjectOf(name), data };
    if (data.letters > 0) await appendEntry(trx, event);
    return data.letters;
  });
}

async function clearOldest(trx: WriteTransaction, webhook: string): Promise<void> {
  const kept = await trx
    .selectFrom('webhook_delivery')
    .select('log_index')
    .where('webhook', '=', webhook)
    .where('state', '=', 'dead')
    .orderBy('log_index', 'desc')
    .offset(2 * WAITING_MAX)
    .limit(1)
    .executeTakeFirst();
  if (kept === undefined) return;
  await trx
    .deleteFrom('webhook_delivery')
    .where('webhook', '=', webhook)
    .where('state', '=', 'dead')
    .where('log_index', '<=', kept.log_index)
    .execute();
}
