// The newest decisions (setting `access.decisionsKept`): a draft is tried on them before it is applied. They are written after the
// requests, so that requests do not wait for them. Nothing here may be needed as proof: that is in the audit log.
import { encodeCanonicalJson } from '@edgekeep/core/json';
import type { Decision } from '@edgekeep/core/policy/policy';
import type { Question } from '@edgekeep/core/policy/question';
import type { AccessDecisionRow } from '../store/tables/access.ts';
import type { Database } from '../store/database.ts';

// Beyond this number, decisions arrive faster than they can be written; further ones are not recorded.
const WAITING_MAX = 2_000;
const writtenAfterMs = 250;
const rowsAtOnce = 50;
// Old rows are cleared once there are this many above the limit.
const slack = 256;

type Waiting = Omit<AccessDecisionRow, 'number'>;

export class DecisionLog {
  readonly #database: Database;
  readonly #maxKept: number;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #sinceCleared = slack;

  constructor(database: Database, maxKept: number) {
    this.#database = database;
    this.#maxKept = maxKept;
  }

  /** `principal` as in the audit log: `device:ID`, or the actor. */
  note(principal: string, question: Question, decision: Decision, policyVersion: number, nowMs: number): void {
    if (this.#maxKept === 0 || this.#waiting.length >= WAITING_MAX) return;
    this.#waiting.push({
      at: nowMs,
      action: question.action,
      principal,
      permitted: decision.kind === 'permitted' ? 1 : 0,
      policy_version: policyVersion,
      statements: JSON.stringify(decision.statements),
      question: Buffer.from(encodeCanonicalJson(question)).toString('utf8'),
    });
    this.#timer ??= setTimeout(() => void this.flush(), writtenAfterMs).unref();
  }

  /** Resolves when every decision noted before is in the store, or could not be written. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const rows = this.#waiting;
    this.#waiting = [];
    if (rows.length > 0) {
      const before = this.#writing;
      // A store that takes no writes refuses the requests themselves; the lost records do not matter.
      this.#writing = before.then(() => this.#write(rows)).catch(() => undefined);
    }
    await this.#writing;
  }

  async #write(rows: readonly Waiting[]): Promise<void> {
    const sinceCleared = this.#sinceCleared + rows.length;
    const clears = sinceCleared >= Math.min(slack, this.#maxKept);
    await this.#database.writeAsHub(async (trx) => {
      const { last } = await trx
        .selectFrom('access_decision')
        .select((q) => q.fn.coalesce(q.fn.max('number'), q.lit(0)).as('last'))
        .executeTakeFirstOrThrow();
      const numbered = rows.map((row, at) => ({ number: last + 1 + at, ...row }));
      for (let from = 0; from < numbered.length; from += rowsAtOnce) {
        await trx
          .insertInto('access_decision')
          .values(numbered.slice(from, from + rowsAtOnce))
          .execute();
      }
      if (!clears) return;
      const newest = last + rows.length;
      await trx
        .deleteFrom('access_decision')
        .where('number', '<=', newest - this.#maxKept)
        .execute();
    });
    this.#sinceCleared = clears ? 0 : sinceCleared;
  }

  /** The newest `count` decisions, newest first, in batches. */
  async *newest(count: number): AsyncGenerator<readonly AccessDecisionRow[]> {
    await this.flush();
    let before = Number.MAX_SAFE_INTEGER;
    for (let left = Math.min(count, this.#maxKept); left > 0;) {
      const rows = await this.#database.read
        .selectFrom('access_decision')
        .selectAll()
        .where('number', '<', before)
        .orderBy('number', 'desc')
        .limit(Math.min(left, 1_000))
        .execute();
      if (rows.length === 0) return;
      yield rows;
      left -= rows.length;
      before = rows.at(-1)?.number ?? 0;
    }
  }

  /** The newest recorded question of each of these principals. */
  async newestOf(principals: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (principals.length === 0) return new Map();
    const rows = await this.#database.read
      .selectFrom('access_decision')
      .select(['principal', 'question'])
      .where('number', 'in', (q) =>
        q
          .selectFrom('access_decision')
          .select((s) => s.fn.max('number').as('newest'))
          .where('principal', 'in', [...principals])
          .groupBy('principal'),
      )
      .execute();
    return new Map(rows.map(({ principal, question }) => [principal, question]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
  }
}
