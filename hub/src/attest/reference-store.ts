// Reference values that publishers signed: the values of a healthy boot. Parsed once and kept until the next publication.
import { sha256Hex } from '@edgekeep/core/digest';
import { type KeyObject } from 'node:crypto';
import type { Kysely } from 'kysely';
import { type BootCoverage, isFormerSet, uncoveredBoot } from '@edgekeep/core/attest/boot-coverage';
import { neverQuoted, parseReferenceValues, type ReferenceValues } from '@edgekeep/core/attest/reference-values';
import { verifyBundle } from '@edgekeep/core/model/signature/verify';
import { appendEntry } from '../audit/append.ts';
import { weighFormerSets } from './coverage-alarm.ts';
import { HubError } from '../common/error.ts';
import { listPublishers } from '../publisher/publishers.ts';
import type { Database } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { ReferenceValuesRow } from '../store/tables/attest.ts';

export interface ActiveReferences {
  /** The value of `referencesState` before they were read. */
  readonly state: string;
  readonly sets: readonly ReferenceValues[];
}

export interface ReferenceSettings {
  /** What every quote covers. */
  readonly pcrs: readonly number[];
  readonly attestation: { readonly bootCoverage: BootCoverage };
  readonly alerts: { readonly bootsNotCompared: boolean };
}

export class ReferenceStore {
  readonly #database: Database;
  readonly #settings: ReferenceSettings;
  #loaded: ActiveReferences | undefined;

  constructor(database: Database, settings: ReferenceSettings) {
    this.#database = database;
    this.#settings = settings;
  }

  /** Every set that is not withdrawn. Parsed again only when this node or another has published or withdrawn a set. */
  async active(): Promise<ActiveReferences> {
    const state = await referencesState(this.#database.read);
    if (this.#loaded?.state === state) return this.#loaded;
    const rows = await this.#database.read
      .selectFrom('reference_values')
      .select('document')
      .where('withdrawn_at', 'is', null)
      .orderBy('published_at', 'desc')
      .execute();
    this.#loaded = { state, sets: rows.map((row) => parseReferenceValues(row.document, this.#settings.pcrs)) };
    return this.#loaded;
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
    const publisher = verifySignedDocument(
      order.document,
      order.signature,
      publishers.map((p) => p.publicKey),
    );
    const { name, version } = this.#parsed(order.document);
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
      const old = await trx
        .selectFrom('reference_values')
        .select('document')
        .where('name', '=', name)
        .where('version', '=', version)
        .executeTakeFirst();
      if (old !== undefined)
        throw new HubError('conflict', `reference values ${name} ${version} are published already`);
      await trx.insertInto('reference_values').values(row).execute();
      const data = { digest: sha256(order.document), publisher };
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

  /** What a set does not cover of the boot, for people; empty where that is not asked for. */
  notCovered(document: Uint8Array): readonly string[] {
    return this.#open(parseReferenceValues(document));
  }

  #open(set: ReferenceValues): readonly string[] {
    // DICE layers say what booted themselves.
    if (set.layers !== undefined || this.#settings.attestation.bootCoverage === 'listed') return [];
    return uncoveredBoot(set);
  }

  // A set that no boot can match would only be noticed by devices that are refused.
  #parsed(document: Uint8Array): ReferenceValues {
    const { pcrs } = this.#settings;
    const set = parseReferenceValues(document);
    const never = neverQuoted(set, pcrs);
    if (never.length > 0) {
      const message = `no boot can match: PCR ${never.join(', ')} is never quoted, this hub asks for ${pcrs.join(',')} (the setting pcrs)`;
      throw refusedSet(set, { code: 'pcr-not-quoted', message });
    }
    const open = this.#open(set);
    if (isFormerSet(set) && open.length > 0) {
      const message = `it does not cover ${open.join(', ')}, and its version ${set.type} would have it affirmed: make it again with \`edgekeep attest reference\``;
      throw refusedSet(set, { code: 'boot-not-covered', message });
    }
    return set;
  }

  /** Raises or settles the alert about stored sets by which boots are affirmed without being compared. */
  async weighFormerSets(nowMs: number): Promise<void> {
    if (!this.#settings.alerts.bootsNotCompared) return;
    const { sets } = await this.active();
    const names = sets
      .filter((set) => isFormerSet(set) && this.#open(set).length > 0)
      .map(({ name, version }) => `${name} ${version}`);
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

/** A text that identifies what is published and withdrawn now: rows are only added or withdrawn. */
export async function referencesState(db: Kysely<Tables>): Promise<string> {
  const [{ sets, withdrawn } = { sets: 0, withdrawn: 0 }] = await setsCounted(db, {});
  return `${sets} ${withdrawn}`;
}

const setsCounted = prepared<object, { sets: number; withdrawn: number }>((db) =>
  db
    .selectFrom('reference_values')
    .select((q) => [q.fn.countAll<number>().as('sets'), q.fn.count<number>('withdrawn_at').as('withdrawn')]),
);

// The document is the one file of a single-file OMS model: resource "." (spec/model-signature.md).
function verifySignedDocument(document: Uint8Array, signature: string, keys: readonly KeyObject[]): string {
  const refuse = (reasons: readonly { code: string; message: string }[]) =>
    new HubError('reference-values-refused', 'the signature of the reference values is not accepted', { reasons });
  if (keys.length === 0)
    throw new HubError(
      'publisher-untrusted',
      'no publisher is trusted yet: `edgekeep publisher trust PUB.pem` adds one',
    );
  const verdict = verifyBundle(Buffer.from(signature), { kind: 'keys', keys });
  if (verdict.kind === 'refused') throw refuse(verdict.reasons);
  const [resource, ...others] = verdict.statement.resources;
  const digest = sha256(document);
  if (resource === undefined || others.length > 0 || verdict.statement.serialization.hash !== 'sha256') {
    throw refuse([
      { code: 'unsupported-serialization', message: 'sign the one document file, hashed whole with SHA-256' },
    ]);
  }
  if (resource.digest !== digest) {
    throw refuse([
      { code: 'digest-mismatch', message: `the signature is over ${resource.digest}, the document is ${digest}` },
    ]);
  }
  return verdict.signer.keyFingerprint;
}

function refusedSet({ name, version }: ReferenceValues, reason: { code: string; message: string }): HubError {
  const message = `the reference values ${name} ${version} are not published: ${reason.message}`;
  return new HubError('reference-values-refused', message, { reasons: [reason] });
}

function sha256(bytes: Uint8Array): string {
  return sha256Hex(bytes);
}
