// The access policy in force and its history. Every version that was ever applied is kept, because receipts name it by digest.
import { counted } from '@edgekeep/core/counted';
import { defaultPolicyText } from '@edgekeep/core/policy/built-in';
import { loadDraft } from '@edgekeep/core/policy/draft';
import { type LoadedPolicy, loadPolicy, type Policy, type PolicyMeaning } from '@edgekeep/core/policy/policy';
import { claimFaults } from '@edgekeep/core/policy/claims';
import { failedTests, type PolicyTests, policyTestsSchema } from '@edgekeep/core/policy/test-file';
import { appendEntry } from '../audit/append.ts';
import { HubError, type Reason } from '../common/error.ts';
import { claimGroupsIn } from '../registry/claims.ts';
import { announceDisconnects } from '../revocation/store.ts';
import type { Database } from '../store/database.ts';
import type { PolicyRow } from '../store/tables/access.ts';

export interface CurrentPolicy {
  readonly version: number;
  readonly digest: string;
  readonly text: string;
  readonly appliedAt: number;
  readonly meaning: PolicyMeaning;
  readonly policy: Policy;
  /** The claim groups that its text was read with. */
  readonly claimGroups: ReadonlySet<string>;
}

export interface PolicyOrder {
  readonly text: string;
  readonly tests?: PolicyTests | undefined;
  readonly meaning?: PolicyMeaning;
  /** The version that it replaces; undefined for the one in force. */
  readonly expectVersion?: number | undefined;
  /** Further reasons to refuse the loaded policy. */
  readonly objections?: (policy: Policy) => Promise<readonly Reason[]>;
  readonly actor: string;
  readonly nowMs: number;
}

// Reasons of a refusal are read by people.
const failedTestsShown = 20;

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
    if (row !== undefined) return new PolicyStore(database, currentOf(row, await claimGroupsIn(database.read, nowMs)));
    const order = { text: defaultPolicyText, actor: 'hub', nowMs };
    using policy = policyOrThrow(loadPolicy(order.text, { name: 'policy 1' }));
    return new PolicyStore(database, currentOf(await insert(database, policy, order), new Set()));
  }

  /** Applies a policy without regard to the one in force, which may even fail to load. Returns the version. */
  static async replace(database: Database, order: Pick<PolicyOrder, 'text' | 'actor' | 'nowMs'>): Promise<number> {
    using policy = policyOrThrow(loadDraft(order.text, { name: 'the draft' }));
    return (await insert(database, policy, order)).version;
  }

  current(): CurrentPolicy {
    return this.#current;
  }

  /** The policy in force once more, for a caller that keeps it while another one comes into force. */
  copy(): Policy {
    const { version, text, meaning, claimGroups } = this.#current;
    return storedPolicy({ version, text, meaning }, claimGroups);
  }

  /** Loads a text that is no policy yet, with all checks, or throws `policy-refused` with every reason. */
  async draft(text: string, meaning: PolicyMeaning, nowMs: number): Promise<Policy> {
    const claimGroups = await claimGroupsIn(this.#database.read, nowMs);
    return policyOrThrow(loadDraft(text, { name: 'the draft', meaning, claimGroups }));
  }

  /** Validates, tests and applies. A policy that is refused leaves the one in force untouched. Other nodes learn of it by the watch. */
  async apply(order: PolicyOrder): Promise<CurrentPolicy> {
    using policy = await this.draft(order.text, order.meaning ?? 'any-action', order.nowMs);
    const failed = order.tests === undefined ? [] : failedTests(policy, order.tests);
    const reasons = [
      ...failed.slice(0, failedTestsShown).map(({ name, message }) => ({
        code: 'policy-test-failed',
        message: `${name}: ${message}`,
      })),
      ...((await order.objections?.(policy)) ?? []),
    ];
    if (reasons.length > 0) {
      const more = failed.length > failedTestsShown ? ` (${counted(failed.length, 'failed test')})` : '';
      throw new HubError('policy-refused', `the policy is not applied${more}`, { reasons });
    }
    const row = await insert(this.#database, policy, order);
    this.#take(row, await claimGroupsIn(this.#database.read, order.nowMs));
    return this.#current;
  }

  /**
   * Takes over a policy that another node applied. Throws `policy-refused` when this node cannot load it; then this node decides nothing.
   */
  async reload(): Promise<boolean> {
    const row = await newest(this.#database);
    if (row === undefined || row.version <= this.#current.version) return false;
    return this.#take(row, await claimGroupsIn(this.#database.read, row.applied_at));
  }

  /** The newest versions first, those before `before`. */
  async history(page: { readonly before: number | undefined; readonly limit: number }): Promise<readonly PolicyRow[]> {
    return this.#database.read
      .selectFrom('policy')
      .selectAll()
      .where('version', '<', page.before ?? Number.MAX_SAFE_INTEGER)
      .orderBy('version', 'desc')
      .limit(page.limit)
      .execute();
  }

  async version(version: number): Promise<PolicyRow> {
    const row = await this.#database.read
      .selectFrom('policy')
      .selectAll()
      .where('version', '=', version)
      .executeTakeFirst();
    if (row === undefined)
      throw new HubError('not-found', `no policy ${version}: \`edgekeep policy history\` shows all`);
    return row;
  }

  // Two requests may finish in another order than they were committed: the higher version wins.
  #take(row: PolicyRow, claimGroups: ReadonlySet<string>): boolean {
    if (row.version <= this.#current.version) return false;
    const before = this.#current;
    this.#current = currentOf(row, claimGroups);
    before.policy[Symbol.dispose]();
    return true;
  }
}

/** The tests that a stored policy was applied with. */
export function testsOf({ tests }: Pick<PolicyRow, 'tests'>): PolicyTests | undefined {
  return tests === null ? undefined : policyTestsSchema.parse(JSON.parse(tests));
}

// A rule that is newer than a stored text narrows it; it keeps no hub from starting.
function storedPolicy(
  { version, text, meaning }: Pick<PolicyRow, 'version' | 'text' | 'meaning'>,
  claimGroups: ReadonlySet<string>,
): Policy {
  return policyOrThrow(loadPolicy(text, { name: `policy ${version}`, meaning, claimGroups, stored: true }));
}

function policyOrThrow(loaded: LoadedPolicy): Policy {
  if (loaded.kind === 'loaded') return loaded.policy;
  const reasons = loaded.faults;
  throw new HubError('policy-refused', reasons.map(({ message }) => message).join('; '), { reasons });
}

async function newest(database: Database): Promise<PolicyRow | undefined> {
  return database.read.selectFrom('policy').selectAll().orderBy('version', 'desc').limit(1).executeTakeFirst();
}

async function insert(database: Database, policy: Policy, order: PolicyOrder): Promise<PolicyRow> {
  const { text, tests, meaning = 'any-action', expectVersion, actor, nowMs } = order;
  return database.write(async (trx) => {
    const last = await trx
      .selectFrom('policy')
      .select((q) => q.fn.max('version').as('last'))
      .executeTakeFirst();
    const before = last?.last ?? 0;
    if (expectVersion !== undefined && expectVersion !== before) {
      throw new HubError('conflict', `policy ${before} is in force, not ${expectVersion}: look at it and try again`);
    }
    // Groups may have been made since the draft was looked at.
    const [fault] = claimFaults(policy.statements, await claimGroupsIn(trx, nowMs));
    if (fault !== undefined) throw new HubError('conflict', `${fault.message} (the groups changed meanwhile)`);
    const row: PolicyRow = {
      version: before + 1,
      digest: policy.digest,
      text,
      applied_at: nowMs,
      meaning,
      tests: tests === undefined ? null : JSON.stringify(tests),
      applied_by: actor,
    };
    await trx.insertInto('policy').values(row).execute();
    const data = { digest: policy.digest, tests: tests?.tests.length ?? 0 };
    await appendEntry(trx, { at: nowMs, kind: 'policy-applied', actor, subject: `policy ${row.version}`, data });
    // This makes the other nodes reload the policy.
    await announceDisconnects(trx, []);
    return row;
  });
}

function currentOf(row: PolicyRow, claimGroups: ReadonlySet<string>): CurrentPolicy {
  const { version, digest, text, applied_at: appliedAt, meaning } = row;
  return { version, digest, text, appliedAt, meaning, policy: storedPolicy(row, claimGroups), claimGroups };
}
