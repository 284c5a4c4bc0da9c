// How published reference values are: in force, superseded, near their end; which devices boot them. For people, for monitoring, and for the
// alerts about sets that run out and about devices that boot a superseded release.
import { neverQuoted, parseReferenceValues, type ReferenceValues } from '@edgekeep/core/attest/reference-values';
import type { PublishedSet } from '@edgekeep/core/attest/reference-standing';
import { Gauge, type Registry } from 'prom-client';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { ReferenceValuesRow } from '../store/tables/attest.ts';
import { standingAmong, supersededBy } from './reference-rules.ts';
import type { ReferenceStore } from './reference-store.ts';

export interface StandingSettings {
  /** What every quote covers. */
  readonly pcrs: readonly number[];
  readonly attestation: { readonly supersededGraceSeconds: number; readonly endingWarningDays: number };
  readonly alerts: {
    readonly referenceValuesEnding: boolean;
    readonly bootsSuperseded: boolean;
    readonly referenceValuesNotQuoted: boolean;
  };
}

export interface SetStanding {
  readonly set: ReferenceValues;
  /** Whether a device of its target may match it now. */
  readonly inForce: boolean;
  /** Why it does not count; undefined while it does. */
  readonly why: string | undefined;
  /** The newer release, and until when this one counts beside it, Unix milliseconds. */
  readonly superseded: { readonly by: string; readonly untilMs: number } | undefined;
  /** Devices whose newest boot matches it. */
  readonly devices: number;
}

interface RowStanding {
  readonly row: ReferenceValuesRow;
  readonly standing: SetStanding;
}

const everyMilliseconds = 600_000;
const dayMs = 86_400_000;
const NAMES_SHOWN_MAX = 8;

export class ReferenceStandings {
  readonly #database: Database;
  readonly #references: ReferenceStore;
  readonly #settings: StandingSettings;
  readonly #clock: Clock;

  constructor(database: Database, references: ReferenceStore, settings: StandingSettings, clock: Clock) {
    this.#database = database;
    this.#references = references;
    this.#settings = settings;
    this.#clock = clock;
  }

  readonly job: Job = {
    name: 'reference-values',
    summary: 'raises alerts about reference values that run out, and about devices that boot a superseded release',
    everyMilliseconds,
    runsOn: 'one-node',
    run: () => this.weigh(),
  };

  readonly metrics = (registry: Registry): void => {
    const gauge: Gauge = new Gauge({
      name: 'edgekeep_devices_booting_superseded',
      help: 'Devices whose newest boot is that of a release that a newer one superseded.',
      registers: [registry],
      collect: async () =>
        gauge.set(devicesIn((await this.all()).filter(({ superseded }) => superseded !== undefined))),
    });
    const unmatched: Gauge = new Gauge({
      name: 'edgekeep_reference_values_not_quoted',
      help: 'Published sets of reference values that no boot can match, because the setting pcrs leaves out a PCR of theirs.',
      registers: [registry],
      collect: async () => unmatched.set((await this.#notQuoted()).length),
    });
  };

  /** Of every set that is not withdrawn, the newest publication first. */
  async all(): Promise<readonly SetStanding[]> {
    const published = await this.#references.published();
    const booted = await this.#booted();
    return published.map((own) => this.#standingOf(own, published, booted));
  }

  /** Of rows of the list; a withdrawn set does not count. */
  async ofRows(rows: readonly ReferenceValuesRow[]): Promise<readonly RowStanding[]> {
    const published = await this.#references.published();
    const booted = await this.#booted();
    return rows.map((row) => {
      const own = { set: parseReferenceValues(row.document), publishedAtMs: row.published_at };
      if (row.withdrawn_at === null) return { row, standing: this.#standingOf(own, published, booted) };
      const devices = booted.get(nameOf(own.set)) ?? 0;
      return { row, standing: { set: own.set, inForce: false, why: 'withdrawn', superseded: undefined, devices } };
    });
  }

  async ofRow(row: ReferenceValuesRow): Promise<RowStanding> {
    const [found] = await this.ofRows([row]);
    if (found === undefined) throw new TypeError('a row has a standing');
    return found;
  }

  /** The names and versions that count for their devices. */
  async inForce(): Promise<readonly string[]> {
    return (await this.all()).filter(({ inForce }) => inForce).map(({ set }) => nameOf(set));
  }

  /** What a published set supersedes, at once or after the grace time. */
  async supersededBy({ name, version }: Pick<ReferenceValuesRow, 'name' | 'version'>): Promise<readonly string[]> {
    const by = `${name} ${version}`;
    return (await this.all()).filter(({ superseded }) => superseded?.by === by).map(({ set }) => nameOf(set));
  }

  /** Raises or settles both alerts. */
  async weigh(): Promise<void> {
    const standings = await this.all();
    const nowMs = this.#clock();
    const { referenceValuesEnding, bootsSuperseded, referenceValuesNotQuoted } = this.#settings.alerts;
    const notQuoted = await this.#notQuoted();
    await this.#database.writeAsHub(async (trx) => {
      if (referenceValuesEnding) await weighEnding(trx, this.#ending(standings, nowMs), nowMs);
      if (referenceValuesNotQuoted) await weighNotQuoted(trx, notQuoted, nowMs);
      if (bootsSuperseded) await weighSuperseded(trx, standings, nowMs);
    });
  }

  async #notQuoted(): Promise<readonly string[]> {
    const published = await this.#references.published();
    return published
      .map(({ set }) => set)
      .filter((set) => this.#never(set) !== undefined)
      .map(nameOf);
  }

  /** Why no boot can match the set at all; undefined where one can. */
  #never(set: ReferenceValues): string | undefined {
    const never = neverQuoted(set, this.#settings.pcrs);
    return never.length === 0 ? undefined : `PCR ${never.join(', ')} is never quoted (the setting pcrs)`;
  }

  // A set that a newer one has superseded may run out.
  #ending(standings: readonly SetStanding[], nowMs: number): readonly SetStanding[] {
    const soonMs = nowMs + this.#settings.attestation.endingWarningDays * dayMs;
    return standings.filter(
      ({ set: { notAfter }, superseded }) =>
        notAfter !== undefined && superseded === undefined && notAfter * 1_000 <= soonMs,
    );
  }

  #standingOf(own: PublishedSet, all: readonly PublishedSet[], booted: ReadonlyMap<string, number>): SetStanding {
    const graceMs = this.#settings.attestation.supersededGraceSeconds * 1_000;
    const others = all.filter(({ set }) => nameOf(set) !== nameOf(own.set));
    const [former] = standingAmong(own, others, graceMs, this.#clock());
    const newer = supersededBy(own, others, graceMs);
    const never = this.#never(own.set);
    return {
      set: own.set,
      inForce: former === undefined && never === undefined,
      why: former?.why ?? never,
      superseded: newer === undefined ? undefined : { by: nameOf(newer.set), untilMs: newer.atMs },
      devices: booted.get(nameOf(own.set)) ?? 0,
    };
  }

  async #booted(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#database.read
      .selectFrom('device')
      .select((q) => ['booted', q.fn.countAll<number>().as('devices')])
      .where('booted', 'is not', null)
      .groupBy('booted')
      .execute();
    return new Map(rows.map(({ booted, devices }) => [booted ?? '', devices]));
  }
}

async function weighEnding(trx: WriteTransaction, ending: readonly SetStanding[], nowMs: number): Promise<void> {
  const about = { kind: 'reference-values-ending', subject: { part: 'reference-values' }, nowMs } as const;
  if (ending.length === 0) {
    await settleAlert(trx, { ...about, note: 'no set in use runs out soon' });
    return;
  }
  const over = ending.some(({ set }) => (set.notAfter ?? 0) * 1_000 <= nowMs);
  const shown = ending
    .slice(0, NAMES_SHOWN_MAX)
    .map(({ set }) => `${nameOf(set)} at ${new Date((set.notAfter ?? 0) * 1_000).toISOString()}`);
  await raiseAlert(trx, {
    ...about,
    severity: over ? 'high' : 'medium',
    title: `reference values ${over ? 'ran out' : 'run out'} without a newer release: ${shown.join(', ')}`,
    data: {
      referenceValues: ending.slice(0, NAMES_SHOWN_MAX).map(({ set }) => nameOf(set)),
      devices: devicesIn(ending),
    },
  });
}

async function weighSuperseded(trx: WriteTransaction, standings: readonly SetStanding[], nowMs: number): Promise<void> {
  const about = { kind: 'boots-superseded', subject: { part: 'reference-values' }, nowMs } as const;
  const old = standings.filter(({ superseded, devices }) => superseded !== undefined && devices > 0);
  if (old.length === 0) {
    await settleAlert(trx, { ...about, note: 'no device boots a superseded release' });
    return;
  }
  const refused = old.some(({ inForce }) => !inForce);
  const shown = old
    .slice(0, NAMES_SHOWN_MAX)
    .map(({ set, devices, superseded }) => `${nameOf(set)} (${devices}), superseded by ${superseded?.by ?? ''}`);
  await raiseAlert(trx, {
    ...about,
    severity: refused ? 'high' : 'low',
    title: `devices boot a superseded release${refused ? ', which no longer counts' : ''}: ${shown.join('; ')}`,
    data: { referenceValues: old.slice(0, NAMES_SHOWN_MAX).map(({ set }) => nameOf(set)), devices: devicesIn(old) },
  });
}

async function weighNotQuoted(trx: WriteTransaction, names: readonly string[], nowMs: number): Promise<void> {
  const about = { kind: 'reference-values-not-quoted', subject: { part: 'reference-values' }, nowMs } as const;
  if (names.length === 0) {
    await settleAlert(trx, { ...about, note: 'every published set can match a boot' });
    return;
  }
  const shown = names.slice(0, NAMES_SHOWN_MAX);
  await raiseAlert(trx, {
    ...about,
    severity: 'high',
    title: `no boot can match ${names.length} reference values, because a PCR of theirs is never quoted: ${shown.join(', ')}`,
    data: { referenceValues: shown, setting: 'pcrs' },
  });
}

function devicesIn(standings: readonly SetStanding[]): number {
  return standings.reduce((sum, { devices }) => sum + devices, 0);
}

function nameOf({ name, version }: ReferenceValues): string {
  return `${name} ${version}`;
}
