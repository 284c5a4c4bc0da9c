// What the rule of spec/access.md, "Post-quantum by group", refuses in a simulation, now and with the changed groups of a draft: every action on a
// live connection whose key exchange is classical, and the key of a device without a hybrid key.
import type { Question } from '@edgekeep/core/policy/question';
import type { DeviceAction } from '@edgekeep/core/policy/schema';
import type { Simulation } from '@edgekeep/wire/api/policy';
import type { Kysely } from 'kysely';
import type { DeviceConnection } from '../presence/connections.ts';
import { hybridKeysAmong } from '../registry/hybrid-keys.ts';
import { listGroups } from '../registry/groups.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import type { PostQuantumRule } from './post-quantum.ts';

/** As a change names what makes the difference. */
export const postQuantumStatement = 'post-quantum-required';

/** Whether the rule refuses an action by the groups of now, and by those of the draft. */
export interface RuleRefusal {
  readonly before: boolean;
  readonly after: boolean;
}

interface Counted {
  devices: number;
  withoutHybridKey: number;
  classicalConnection: number;
  readonly names: string[];
}

/** A device of the page: whether it has a hybrid key, and its live connection. */
interface Protection {
  readonly hybridKey: boolean;
  readonly live: Pick<DeviceConnection, 'keyExchange'> | undefined;
}

export class FleetPostQuantum {
  readonly #db: Kysely<Tables>;
  readonly #counts: ReadonlyMap<string, Counted>;
  readonly #known: ReadonlySet<string>;
  readonly #maxNames: number;

  private constructor(db: Kysely<Tables>, groups: readonly string[], known: ReadonlySet<string>, maxNames: number) {
    this.#db = db;
    this.#known = known;
    this.#maxNames = maxNames;
    const none = () => ({ devices: 0, withoutHybridKey: 0, classicalConnection: 0, names: [] });
    this.#counts = new Map(groups.map((group) => [group, none()]));
  }

  static async open(
    db: Kysely<Tables>,
    rule: PostQuantumRule | undefined,
    maxNames: number,
  ): Promise<FleetPostQuantum> {
    const groups = (await rule?.groups(db)) ?? [];
    const known = groups.length === 0 ? [] : (await listGroups(db)).map(({ name }) => name);
    return new FleetPostQuantum(db, groups, new Set(known), maxNames);
  }

  /** The groups of the rule. */
  get groups(): readonly string[] {
    return [...this.#counts.keys()];
  }

  /** What is known of the devices of a page; where no group requires anything, nothing is read. */
  async protections(
    rows: readonly DeviceRecord[],
    liveOf: (id: string) => Protection['live'],
  ): Promise<(id: string) => Protection> {
    if (this.#counts.size === 0) return () => ({ hybridKey: true, live: undefined });
    const holders = await hybridKeysAmong(
      this.#db,
      rows.map(({ id }) => id),
    );
    return (id) => ({ hybridKey: holders.has(id), live: liveOf(id) });
  }

  /** Counts the device where the draft has it in a group of the rule, and says which of its actions the rule refuses. */
  refusals(
    { id, state }: Pick<DeviceRecord, 'id' | 'state'>,
    { hybridKey, live }: Protection,
    [now, draft]: readonly [Question, Question],
  ): (action: DeviceAction) => RuleRefusal {
    const before = this.#requiring(now);
    const after = this.#requiring(draft);
    const classical = live !== undefined && live.keyExchange !== 'hybrid';
    if (state !== 'wiped' && state !== 'retired')
      for (const group of after) this.#count(group, { id, hybridKey, classical });
    return (action) => {
      const refused = classical || (action === 'releaseKey' && !hybridKey);
      return { before: refused && before.length > 0, after: refused && after.length > 0 };
    };
  }

  result(): Simulation['postQuantum'] {
    return [...this.#counts].map(([group, { names, ...counts }]) => ({
      group,
      exists: this.#known.has(group),
      ...counts,
      names: [...names],
    }));
  }

  #requiring({ principal }: Question): readonly string[] {
    if (principal.kind !== 'device') return [];
    return [...principal.groups, ...principal.claimGroups].filter((name) => this.#counts.has(name));
  }

  #count(group: string, { id, hybridKey, classical }: { id: string; hybridKey: boolean; classical: boolean }): void {
    const counted = this.#counts.get(group);
    if (counted === undefined) return;
    counted.devices += 1;
    if (!hybridKey) counted.withoutHybridKey += 1;
    if (classical) counted.classicalConnection += 1;
    if ((!hybridKey || classical) && counted.names.length < this.#maxNames) counted.names.push(id);
  }
}
