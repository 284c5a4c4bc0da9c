// The release policy in force and its history: every version that was ever applied is kept, because receipts name it by digest.
import { appendEntry } from '../audit/append.ts';
import type { Database } from '../store/database.ts';
import type { PolicyRow } from '../store/schema.ts';
import { rememberDecisions } from './decision-cache.ts';
import { defaultPolicyText, loadPolicy, type Policy } from './policy.ts';

export interface CurrentPolicy extends Policy {
  readonly version: number;
  readonly appliedAt: number;
}

export class PolicyStore {
  readonly #database: Database;
  #current: CurrentPolicy;

  private constructor(database: Database, current: CurrentPolicy) {
    this.#database = database;
    this.#current = current;
  }

  /** Loads the newest policy; a new hub starts with the default one. */
  static async open(database: Database, nowMs: number): Promise<PolicyStore> {
    const row = await newest(database);
    if (row !== undefined) {
      return new PolicyStore(database, current(loadPolicy(row.text), row.version, row.applied_at));
    }
    return new PolicyStore(database, await apply(database, { text: defaultPolicyText, actor: 'hub', nowMs }));
  }

  current(): CurrentPolicy {
    return this.#current;
  }

  /** Validates and applies; a policy that is refused leaves the one in force untouched. */
  async apply(order: {
    readonly text: string;
    readonly actor: string;
    readonly nowMs: number;
  }): Promise<CurrentPolicy> {
    this.#current = await apply(this.#database, order);
    return this.#current;
  }
}

async function newest(database: Database): Promise<PolicyRow | undefined> {
  return database.read.selectFrom('policy').selectAll().orderBy('version', 'desc').limit(1).executeTakeFirst();
}

async function apply(
  database: Database,
  order: { readonly text: string; readonly actor: string; readonly nowMs: number },
): Promise<CurrentPolicy> {
  const policy = loadPolicy(order.text);
  const version = await database.write(async (trx) => {
    const last = await trx
      .selectFrom('policy')
      .select((q) => q.fn.max('version').as('last'))
      .executeTakeFirst();
    const next = last === undefined || last.last === null ? 1 : last.last + 1;
    await trx
      .insertInto('policy')
      .values({ version: next, digest: policy.digest, text: policy.text, applied_at: order.nowMs })
      .execute();
    const data = { digest: policy.digest };
    await appendEntry(trx, {
      at: order.nowMs,
      kind: 'policy-applied',
      actor: order.actor,
      subject: `policy ${next}`,
      data,
    });
    return next;
  });
  return current(policy, version, order.nowMs);
}

function current(policy: Policy, version: number, appliedAt: number): CurrentPolicy {
  return { ...policy, decide: rememberDecisions(policy), version, appliedAt };
}
