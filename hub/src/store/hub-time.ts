// The time of a hub: the machine's, or the latest time that this hub has ever seen, whichever is later (docs/design/hub-time.md). So a clock
// that is set back makes nothing fresh that is over.
import { parseAuditEntry } from '@edgekeep/core/audit/entry';
import type { Kysely } from 'kysely';
import { performance } from 'node:perf_hooks';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from './database.ts';
import type { Tables } from './schema.ts';

const ROW = 'latest';

export interface HubTimeOptions {
  /** The machine's clock. */
  readonly system: Clock;
  readonly maxBehindSeconds: number;
  /** A clock that nobody sets. */
  readonly elapsedMs?: () => number;
}

export class HubTime {
  readonly #options: Required<HubTimeOptions>;
  readonly #startMs: number;
  #latestMs: number;

  private constructor(options: Required<HubTimeOptions>, latestMs: number) {
    this.#options = options;
    this.#latestMs = latestMs;
    this.#startMs = options.system() - options.elapsedMs();
  }

  /** Goes on from the latest time in the store. */
  static async open(db: Kysely<Tables>, options: HubTimeOptions): Promise<HubTime> {
    return new HubTime({ elapsedMs: () => performance.now(), ...options }, await latestTimeIn(db));
  }

  /** Unix milliseconds; never less than before. */
  readonly now: Clock = () => {
    this.#latestMs = Math.max(this.#latestMs, this.#options.system());
    return this.#latestMs;
  };

  /** The machine's clock, by which everybody else judges this hub's own certificate. */
  readonly machine: Clock = () => this.#options.system();

  /** How far the machine's clock is behind the latest time. */
  behindSeconds(): number {
    return Math.max(0, this.now() - this.#options.system()) / 1_000;
  }

  /** Why the time cannot be relied on; undefined when it can. */
  problem(): string | undefined {
    const behind = Math.round(this.behindSeconds());
    if (behind <= this.#options.maxBehindSeconds) return undefined;
    const latest = new Date(this.#latestMs).toISOString();
    return `the machine's clock is ${behind} s behind ${latest}, the latest time that this hub has seen: set it; if that time is wrong, stop the hub and run \`edgekeep hub accept-clock\``;
  }

  /** What a person should know although the time can be relied on: how far this clock was set back in small steps. */
  setBack(): string | undefined {
    const { system, elapsedMs, maxBehindSeconds } = this.#options;
    const seconds = Math.round((this.#startMs + elapsedMs() - system()) / 1_000);
    if (seconds <= maxBehindSeconds) return undefined;
    return `the machine's clock was set back by ${seconds} s since this hub started`;
  }

  /** Throws `clock-behind` when the time cannot be relied on. */
  assertRight(): void {
    const problem = this.problem();
    if (problem !== undefined) throw new HubError('clock-behind', problem);
  }

  /** Stores the latest time, and takes over a later one that another node stored: a device that asks two nodes meets one time. */
  async keep(database: Pick<Database, 'writeAsHub'>): Promise<void> {
    const seenAt = this.now();
    const latest = await database.writeAsHub(async (trx) => {
      const stored = await trx.selectFrom('hub_time').select('seen_at').where('name', '=', ROW).executeTakeFirst();
      const later = Math.max(seenAt, stored?.seen_at ?? 0);
      await storeLatest(trx, later);
      return later;
    });
    this.#latestMs = Math.max(this.#latestMs, latest);
  }
}

/** The latest time that a store knows; 0 for a new one. */
export async function latestTimeIn(db: Kysely<Tables>): Promise<number> {
  const row = await db.selectFrom('hub_time').select('seen_at').where('name', '=', ROW).executeTakeFirst();
  if (row !== undefined) return row.seen_at;
  const newest = await db
    .selectFrom('audit_entry')
    .select('entry')
    .orderBy('log_index', 'desc')
    .limit(1)
    .executeTakeFirst();
  return newest === undefined ? 0 : parseAuditEntry(newest.entry).at;
}

/** Makes this the latest time, also if the store has a later one. */
export async function storeLatest(trx: WriteTransaction, seenAt: number): Promise<void> {
  await trx
    .insertInto('hub_time')
    .values({ name: ROW, seen_at: seenAt })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ seen_at: seenAt }))
    .execute();
}
