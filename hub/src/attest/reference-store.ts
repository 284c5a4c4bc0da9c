// Reference values that publishers signed: the values of a healthy boot. Parsed once and kept until the next publication.
import { sha256Hex } from '@edgekeep/core/digest';
import { type KeyObject } from 'node:crypto';
import type { Kysely } from 'kysely';
import { parseReferenceValues, type ReferenceValues } from '@edgekeep/core/attest/reference-values';
import { verifyBundle } from '@edgekeep/core/model/signature/verify';
import { appendEntry } from '../audit/append.ts';
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

export class ReferenceStore {
  readonly #database: Database;
  readonly #pcrs: readonly number[];
  #loaded: ActiveReferences | undefined;

  /** `pcrs` are those that every quote covers: a set that constrains none of them is refused. */
  constructor(database: Database, pcrs: readonly number[]) {
    this.#database = database;
    this.#pcrs = pcrs;
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
    this.#loaded = { state, sets: rows.map((row) => parseReferenceValues(row.document, this.#pcrs)) };
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
    const { name, version } = parseReferenceValues(order.document, this.#pcrs);
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

function sha256(bytes: Uint8Array): string {
  return sha256Hex(bytes);
}
