// Reference values that publishers signed: the values of a healthy boot. Parsed once and kept until the next publication.
import { isFormerSet } from '@edgekeep/core/attest/boot-coverage';
import { type PublishedSet, type Standings, standingsOf } from '@edgekeep/core/attest/reference-standing';
import { isTargeted, targetText } from '@edgekeep/core/attest/reference-target';
import {
  parseReferenceValues,
  type ReferenceTerms,
  type ReferenceValues,
} from '@edgekeep/core/attest/reference-values';
import { sha256Hex } from '@edgekeep/core/digest';
import type { Kysely } from 'kysely';
import { LruMap } from 'toad-cache';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import { assertPublisher, listPublishers } from '../publisher/publishers.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { ReferenceValuesRow } from '../store/tables/attest.ts';
import { weighFormerSets } from './coverage-alarm.ts';
import { assertMatchable, assertNotPast, type PublishingRules, refusedSet, uncoveredBy } from './reference-rules.ts';
import { verifySignedDocument } from './reference-signature.ts';
import { groupProblem, targetFactsOf } from './reference-targets.ts';

export interface ReferenceSettings extends PublishingRules {
  readonly alerts: { readonly bootsNotCompared: boolean };
}

/** The sets for one device at one moment. */
export interface ReferencesFor extends Pick<Standings, 'inForce' | 'former'> {
  /** Whether they are the same in this transaction, now. `deviceKept` is false where the device is only being registered. */
  readonly stay: (trx: WriteTransaction, deviceKept: boolean) => Promise<boolean>;
  readonly digestOf: (name: string, version: string) => string | undefined;
}

interface LoadedSets {
  /** The value of `referencesState` before they were read. */
  readonly state: string;
  readonly sets: readonly PublishedSet[];
  /** By name and version. */
  readonly digests: ReadonlyMap<string, string>;
  /** By the targets that a device is in. Lists stay the same objects, so that what is known of a log and a list is found again. */
  readonly standings: LruMap<KeptStandings>;
}

interface KeptStandings extends Standings {
  /** When it was found. */
  readonly fromMs: number;
}

// Devices of few kinds make few combinations.
const STANDINGS_MAX = 256;

export class ReferenceStore {
  readonly #database: Database;
  readonly #settings: ReferenceSettings;
  readonly #clock: Clock;
  #loaded: LoadedSets | undefined;

  constructor(database: Database, settings: ReferenceSettings, clock: Clock) {
    this.#database = database;
    this.#settings = settings;
    this.#clock = clock;
  }

  get #graceMs(): number {
    return this.#settings.attestation.supersededGraceSeconds * 1_000;
  }

  /** Every set that is not withdrawn. */
  async published(): Promise<readonly PublishedSet[]> {
    return (await this.#load()).sets;
  }

  /** What counts for a device now, and what does not. */
  async forDevice(deviceId: string): Promise<ReferencesFor> {
    const loaded = await this.#load();
    const key = await this.#targetsOf(this.#database.read, loaded, deviceId);
    const standings = this.#standingsOf(loaded, key);
    return {
      inForce: standings.inForce,
      former: standings.former,
      digestOf: (name, version) => loaded.digests.get(`${name} ${version}`),
      stay: async (trx, deviceKept) => {
        if ((await referencesState(trx)) !== loaded.state) return false;
        if (deviceKept && (await this.#targetsOf(trx, loaded, deviceId)) !== key) return false;
        const nowMs = this.#clock();
        return standings.fromMs <= nowMs && nowMs < standings.untilMs;
      },
    };
  }

  /** In which targets a device is, as one text: a digit for each set. */
  async #targetsOf(db: Kysely<Tables>, { sets }: LoadedSets, deviceId: string): Promise<string> {
    const asked = sets.map(({ set }) => set);
    const device = await targetFactsOf(db, deviceId, asked, this.#clock());
    return asked.map(({ target }) => (isTargeted(target, device) ? '1' : '0')).join('');
  }

  #standingsOf(loaded: LoadedSets, key: string): KeptStandings {
    const nowMs = this.#clock();
    const known = loaded.standings.get(key);
    if (known !== undefined && known.fromMs <= nowMs && nowMs < known.untilMs) return known;
    const inTarget = (at: number) => key[at] === '1';
    const standings = { ...standingsOf(loaded.sets, inTarget, { nowMs, graceMs: this.#graceMs }), fromMs: nowMs };
    loaded.standings.set(key, standings);
    return standings;
  }

  // Parsed again only when this node or another has published or withdrawn a set.
  async #load(): Promise<LoadedSets> {
    const state = await referencesState(this.#database.read);
    if (this.#loaded?.state === state) return this.#loaded;
    const rows = await this.#database.read
      .selectFrom('reference_values')
      .select(['name', 'version', 'document', 'published_at'])
      .where('withdrawn_at', 'is', null)
      .orderBy('published_at', 'desc')
      .execute();
    const sets = rows.map((row) => this.#publishedOf(row));
    const digests = new Map(rows.map((row) => [`${row.name} ${row.version}`, sha256Hex(row.document)]));
    this.#loaded = { state, sets, digests, standings: new LruMap(STANDINGS_MAX) };
    return this.#loaded;
  }

  #publishedOf(row: Pick<ReferenceValuesRow, 'document' | 'published_at'>): PublishedSet {
    // A set that the setting `pcrs` does not reach any more stays: it matches no boot, and the others go on.
    return { set: parseReferenceValues(row.document), publishedAtMs: row.published_at };
  }

  async list(): Promise<readonly ReferenceValuesRow[]> {
    return this.#database.read.selectFrom('reference_values').selectAll().orderBy('published_at', 'desc').execute();
  }

  /** Verifies the OMS bundle over the document against the trusted publishers, then accepts boots that match it. */
  async publish(order: {
    document: Uint8Array;
    signature: string;
    actor: string;
    nowMs: number;
  }): Promise<ReferenceValuesRow> {
    const publishers = await listPublishers(this.#database);
    const publisher = verifySignedDocument(order.document, order.signature, publishers);
    const set = parseReferenceValues(order.document);
    assertMatchable(set, this.#settings, order.nowMs);
    const { name, version } = set;
    const row: ReferenceValuesRow = {
      name,
      version,
      document: order.document,
      signature: order.signature,
      publisher,
      published_at: order.nowMs,
      withdrawn_at: null,
    };
    await this.#database.write(async (trx) => {
      await assertPublisher(trx, publisher, order.nowMs);
      await this.#assertPublishable(trx, set, order.nowMs);
      await trx.insertInto('reference_values').values(row).execute();
      const data = { digest: sha256Hex(order.document), publisher, ...termsOf(set) };
      await appendEntry(trx, {
        at: order.nowMs,
        kind: 'reference-values-published',
        actor: order.actor,
        subject: `${name}@${version}`,
        data,
      });
    });
    return row;
  }

  // Everything that other sets and groups decide, in the transaction that publishes.
  async #assertPublishable(trx: WriteTransaction, set: ReferenceValues, nowMs: number): Promise<void> {
    const { name, version } = set;
    const rows = await trx.selectFrom('reference_values').selectAll().where('name', '=', name).execute();
    if (rows.some((row) => row.version === version))
      throw new HubError('conflict', `reference values ${name} ${version} are published already`);
    const others = rows.filter((row) => row.withdrawn_at === null).map((row) => this.#publishedOf(row));
    assertNotPast({ set, publishedAtMs: nowMs }, others, this.#settings);
    const problem = await groupProblem(trx, set, nowMs);
    if (problem !== undefined) throw refusedSet(set, 'target-not-decided', problem);
  }

  /** What a set does not cover of the boot, for people; empty where that is not asked for. */
  notCovered(document: Uint8Array): readonly string[] {
    return uncoveredBy(parseReferenceValues(document), this.#settings);
  }

  /** Raises or settles the alert about stored sets by which boots are affirmed without being compared. */
  async weighFormerSets(nowMs: number): Promise<void> {
    if (!this.#settings.alerts.bootsNotCompared) return;
    const names = (await this.published())
      .filter(({ set }) => isFormerSet(set) && uncoveredBy(set, this.#settings).length > 0)
      .map(({ set }) => `${set.name} ${set.version}`);
    await this.#database.writeAsHub((trx) => weighFormerSets(trx, names, nowMs));
  }

  /** From now on, boots that match only this set are not accepted. */
  async withdraw(order: { name: string; version: string; actor: string; nowMs: number }): Promise<void> {
    const { name, version, actor, nowMs } = order;
    await this.#database.write(async (trx) => {
      const result = await trx
        .updateTable('reference_values')
        .set({ withdrawn_at: nowMs })
        .where('name', '=', name)
        .where('version', '=', version)
        .where('withdrawn_at', 'is', null)
        .executeTakeFirst();
      if (Number(result.numUpdatedRows) === 0)
        throw new HubError(
          'not-found',
          `no active reference values ${name} ${version}: \`edgekeep reference list\` shows all`,
        );
      await appendEntry(trx, {
        at: nowMs,
        kind: 'reference-values-withdrawn',
        actor,
        subject: `${name}@${version}`,
        data: {},
      });
    });
  }
}

// The publisher may have been removed since the signature was verified.
/** A text that identifies what is published and withdrawn now: rows are only added or withdrawn. */
async function referencesState(db: Kysely<Tables>): Promise<string> {
  const [{ sets, withdrawn } = { sets: 0, withdrawn: 0 }] = await setsCounted(db, {});
  return `${sets} ${withdrawn}`;
}

const setsCounted = prepared<object, { sets: number; withdrawn: number }>((db) =>
  db
    .selectFrom('reference_values')
    .select((q) => [q.fn.countAll<number>().as('sets'), q.fn.count<number>('withdrawn_at').as('withdrawn')]),
);

/** What a set says of when and for which devices it counts, for the audit log. */
function termsOf({ lowestVersion, notBefore, notAfter, target }: ReferenceTerms) {
  const shown = target === undefined ? undefined : targetText(target).slice(0, TARGET_LOGGED_MAX);
  return { lowestVersion, notBefore, notAfter, target: shown };
}

// An audit entry has at most 8 KiB.
const TARGET_LOGGED_MAX = 1_000;
