// A consumer of the audit log: gets the entries in order, at least once each (spec/events.md). Each is a job of its own, so that one that waits for
// a slow or broken receiver holds up no other.
import { printable } from '@edgekeep/core/canonical/printable';
import { messageOf } from '@edgekeep/core/message-of';
import { backoffDelayMs } from '@edgekeep/wire/link/backoff';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { findCursor, moveCursor, noteFailure, openCursor } from './cursors.ts';
import { coveredSize, type LogEvent, readBatch } from './events.ts';

/** Written in the transaction that moves the cursor: it happens once for each batch, or not at all. */
export type BatchWrite = (trx: WriteTransaction) => Promise<void>;

export interface Consumer {
  /** Of its cursor; kebab-case. It never changes. */
  readonly name: string;
  /** One sentence for the list of jobs: what it does. */
  readonly summary: string;
  /** The kinds of entries that it wants; left out: all. */
  readonly kinds?: readonly string[];
  /**
   * Handles a batch, in order. When it rejects, or the hub ends, the same entries come again: what it does outside of the store must bear that.
   * `signal` aborts when the hub ends.
   */
  handle(events: readonly LogEvent[], signal: AbortSignal): Promise<BatchWrite | undefined>;
}

export interface ConsumerDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly pollMilliseconds: number;
  /** In [0, 1). */
  readonly random?: () => number;
}

const backoff = { firstDelayMs: 1_000, maxDelayMs: 300_000 };
const PROBLEM_CHARACTERS_MAX = 300;
// The lead may have gone to another node: a turn ends after this, and the next one is the leader's.
const BATCHES_A_TURN_MAX = 64;

export function consumerJob(consumer: Consumer, dependencies: ConsumerDependencies): Job {
  return {
    name: `event-${consumer.name}`,
    summary: consumer.summary,
    everyMilliseconds: dependencies.pollMilliseconds,
    runsOn: 'one-node',
    run: (signal) => takeTurn(consumer, dependencies, signal),
  };
}

/** Rejects only when the store fails: a consumer's failure is in its cursor. */
async function takeTurn(consumer: Consumer, dependencies: ConsumerDependencies, signal: AbortSignal): Promise<void> {
  const { database, clock } = dependencies;
  const { name } = consumer;
  const cursor = await findCursor(database.read, name);
  if (cursor === undefined) {
    // A new consumer begins with what happens from now on.
    const position = await coveredSize(database.read);
    return database.writeAsHub((trx) => openCursor(trx, { name, position, nowMs: clock() }));
  }
  if (clock() < (cursor.next_at ?? 0)) return undefined;
  let stored = cursor.position;
  let reached = stored;
  for (let batches = 0; batches < BATCHES_A_TURN_MAX && !signal.aborted; batches += 1) {
    const { events, next } = await readBatch(database.read, { from: reached, kinds: consumer.kinds });
    if (next === reached) break;
    if (events.length > 0) {
      const write = await handled(consumer, events, { ...dependencies, signal, stored, failures: cursor.failures });
      if (write === 'failed' || !(await moved(dependencies, { name, from: stored, to: next }, write))) return undefined;
      stored = next;
    }
    reached = next;
  }
  // Entries that the consumer does not want cost one write a turn.
  if (reached !== stored) await moved(dependencies, { name, from: stored, to: reached }, undefined);
  return undefined;
}

interface Attempt extends ConsumerDependencies {
  readonly signal: AbortSignal;
  /** Where the cursor is in the store. */
  readonly stored: number;
  /** Those in a row before this attempt. */
  readonly failures: number;
}

async function handled(
  consumer: Consumer,
  events: readonly LogEvent[],
  { database, clock, random = Math.random, signal, stored, failures }: Attempt,
): Promise<BatchWrite | undefined | 'failed'> {
  try {
    return await consumer.handle(events, signal);
  } catch (error) {
    // An interrupted batch is no failure of its receiver.
    if (signal.aborted) return 'failed';
    const problem = printable(messageOf(error), PROBLEM_CHARACTERS_MAX);
    const nextAt = clock() + backoffDelayMs(backoff, failures + 1, random());
    await database.writeAsHub((trx) => noteFailure(trx, { name: consumer.name, position: stored, problem, nextAt }));
    return 'failed';
  }
}

async function moved(
  { database, clock }: ConsumerDependencies,
  move: { readonly name: string; readonly from: number; readonly to: number },
  write: BatchWrite | undefined,
): Promise<boolean> {
  return database.writeAsHub(async (trx) => {
    if (!(await moveCursor(trx, { ...move, nowMs: clock() }))) return false;
    await write?.(trx);
    return true;
  });
}
