// Opens access: the policy in force, what it looks at, and the gate that asks it.
import type { Clock } from '../common/clock.ts';
import type { Connections } from '../presence/connections.ts';
import { asHub } from '../store/authority.ts';
import type { Database } from '../store/database.ts';
import type { Subject } from '../common/subject.ts';
import { CountryTable } from './country-table.ts';
import { DecisionLog } from './decision-log.ts';
import { AccessGate, type GateDependencies } from './gate.ts';
import { PostQuantumRule } from './post-quantum.ts';
import { PolicyStore } from './policy-store.ts';
import { Traffic } from './traffic.ts';
import { WrapMetrics } from './wrap-metrics.ts';

export interface Access extends Subject {
  readonly gate: AccessGate;
  /** What the gate looks at. */
  readonly facts: GateDependencies;
  /** Counts a key that left the hub, by the type of its wrap. */
  readonly countWrap: (type: string | undefined) => void;
  /** Calls `follow` whenever another policy came into force. */
  onPolicy(follow: () => void): void;
}

export async function openAccess(
  database: Database,
  connections: Connections,
  {
    decisionsKept,
    requirePostQuantum,
  }: { readonly decisionsKept: number; readonly requirePostQuantum: readonly string[] },
  clock: Clock,
): Promise<Access> {
  const policies = await asHub(() => PolicyStore.open(database, clock()));
  const countries = await CountryTable.open(database);
  const decisions = new DecisionLog(database, decisionsKept);
  const facts = {
    database,
    policies,
    connections,
    traffic: new Traffic(),
    countries,
    decisions,
    postQuantum: new PostQuantumRule(requirePostQuantum),
  };
  const followers: (() => void)[] = [];
  const wraps = new WrapMetrics(database);
  const reload = async () => {
    await countries.reload();
    if (await policies.reload()) for (const follow of followers) follow();
  };
  return {
    gate: new AccessGate(facts),
    facts,
    countWrap: wraps.count,
    metrics: wraps.register,
    onPolicy: (follow) => void followers.push(follow),
    reload,
    follows: { tables: ['policy', 'country_network'], read: reload },
    [Symbol.asyncDispose]: async () => decisions[Symbol.asyncDispose](),
  };
}
