// Which devices the publishers' release policies refuse, by what the hub knows without evidence: the tier, the maker and the groups. The release
// that booted, and the witnesses, are asked when a key is asked for (spec/access.md, step 5a).
import { type ReleasePolicy, releasePolicyReasons } from '@edgekeep/core/model/release-policy';
import type { assignedGroups, PublisherRefusals } from '@edgekeep/wire/api/model';
import type { Simulation } from '@edgekeep/wire/api/policy';
import type { Kysely } from 'kysely';
import type { z } from 'zod';
import { releasePolicyOf } from '../model/release-policy.ts';
import { publishedIn } from '../model/releases.ts';
import { HubError, type Reason } from '../common/error.ts';
import { queryDevices } from '../registry/list.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { factsOf } from './facts.ts';
import { makerKinds, makersAmong } from './publisher-policy.ts';

// One statement can hold the ids of a page.
const PAGE_MAX = 500;
// An assignment is answered at once: of a larger group, these many devices are looked at.
const LOOKED_AT_MAX = 2_000;
const NAMED_MAX = 10;

/** Why the policy refuses each of these devices; those that it does not refuse are left out. A page of devices at most. */
async function refusedDevices(
  db: Kysely<Tables>,
  policy: ReleasePolicy,
  devices: readonly DeviceRecord[],
  nowMs: number,
): Promise<ReadonlyMap<string, readonly Reason[]>> {
  const { makers, groups } = policy;
  const ids = devices.map(({ id }) => id);
  const byMaker = makers === undefined ? undefined : await makersAmong(db, ids, makers);
  const wanted = { wanted: new Set(['principal.groups']), filterGroups: new Set(groups), nowMs };
  const facts = groups === undefined ? undefined : await factsOf(db, devices, wanted);
  const refused = new Map<string, readonly Reason[]>();
  for (const { id, tier } of devices) {
    const maker = byMaker?.find((row) => row.device_id === id && row.kind === makerKinds[tier])?.sha256;
    const own = facts?.get(id)?.principal.groups ?? [];
    const group = groups?.find((name) => own.includes(name));
    const reasons = releasePolicyReasons(
      { ...policy, releases: undefined },
      { tier, release: undefined, maker, group, cosigners: undefined },
    );
    if (reasons.length > 0) refused.set(id, reasons);
  }
  return refused;
}

/** Counts refusals; memory does not grow with the fleet. */
class RefusalCount {
  #devices = 0;
  #refused = 0;
  readonly #first: string[] = [];
  readonly #reasons = new Map<string, { readonly code: string; readonly message: string; devices: number }>();

  note(devices: number, refused: ReadonlyMap<string, readonly Reason[]>): void {
    this.#devices += devices;
    this.#refused += refused.size;
    for (const [id, reasons] of refused) {
      if (this.#first.length < NAMED_MAX) this.#first.push(id);
      for (const { code, message } of reasons) {
        const known = this.#reasons.get(code) ?? { code, message, devices: 0 };
        known.devices += 1;
        this.#reasons.set(code, known);
      }
    }
  }

  result(): PublisherRefusals {
    const reasons = [...this.#reasons.values()].toSorted((a, b) => b.devices - a.devices);
    return { devices: this.#devices, refused: this.#refused, first: [...this.#first], reasons };
  }
}

/** The groups of a model in which the policy of its current release refuses devices. */
export async function unmetGroups(
  db: Kysely<Tables>,
  model: string,
  groups: readonly string[],
  nowMs: number,
): Promise<z.infer<typeof assignedGroups>['unmet']> {
  const policy = await policyOfCurrent(db, model);
  if (policy === undefined) return [];
  const unmet: z.infer<typeof assignedGroups>['unmet'] = [];
  for (const group of groups) {
    const count = new RefusalCount();
    let after: string | null = '';
    for (let seen = 0; after !== null && seen < LOOKED_AT_MAX; seen += PAGE_MAX) {
      const query = { filter: `group==${group}`, sort: 'id', after, limit: PAGE_MAX, nowMs };
      const page: Awaited<ReturnType<typeof queryDevices>> = await queryDevices(db, query);
      count.note(page.devices.length, await refusedDevices(db, policy, page.devices, nowMs));
      after = page.next;
    }
    const found = count.result();
    if (found.refused > 0) unmet.push({ group, ...found });
  }
  return unmet;
}

/** Undefined where nothing is published yet. */
async function policyOfCurrent(db: Kysely<Tables>, model: string): Promise<ReleasePolicy | undefined> {
  try {
    return releasePolicyOf(await publishedIn(db, model));
  } catch (error) {
    if (error instanceof HubError && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** The release policies of the current release of each model, for a simulation. */
export class FleetPublishers {
  readonly #db: Kysely<Tables>;
  readonly #models: readonly {
    readonly name: string;
    readonly version: string;
    readonly policy: ReleasePolicy;
    readonly count: RefusalCount;
  }[];

  private constructor(db: Kysely<Tables>, releases: readonly PublisherRelease[]) {
    this.#db = db;
    this.#models = releases.map((release) => ({ ...release, count: new RefusalCount() }));
  }

  static async open(db: Kysely<Tables>, models: readonly string[]): Promise<FleetPublishers> {
    const releases: PublisherRelease[] = [];
    for (const name of models) {
      const row = await publishedIn(db, name);
      const policy = releasePolicyOf(row);
      if (policy !== undefined) releases.push({ name, version: row.version, policy });
    }
    return new FleetPublishers(db, releases);
  }

  /** Counts these devices, and returns the models whose publishers refuse them, by device. */
  async refusals(devices: readonly DeviceRecord[], nowMs: number): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const found = new Map<string, Set<string>>();
    for (const { name, policy, count } of this.#models) {
      const refused = await refusedDevices(this.#db, policy, devices, nowMs);
      count.note(devices.length, refused);
      for (const id of refused.keys()) found.set(id, (found.get(id) ?? new Set()).add(name));
    }
    return found;
  }

  result(): Simulation['publishers'] {
    return this.#models.map(({ name, version, count }) => ({ model: name, version, ...count.result() }));
  }
}

interface PublisherRelease {
  readonly name: string;
  readonly version: string;
  readonly policy: ReleasePolicy;
}
