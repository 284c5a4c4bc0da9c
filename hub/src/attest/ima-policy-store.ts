// IMA policies that publishers signed (spec/ima-policy.md). Opened once and kept until the next publication.
import { ImaPolicies } from '@edgekeep/core/attest/ima-findings';
import { openImaPolicy, parseImaPolicy } from '@edgekeep/core/attest/ima-policy';
import { IMA_PCR } from '@edgekeep/core/attest/reference-values';
import { sha256Hex } from '@edgekeep/core/digest';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { assertPublisher, listPublishers } from '../publisher/publishers.ts';
import type { Database } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { ImaPolicyRow } from '../store/tables/attest.ts';
import { verifySignedDocument } from './reference-signature.ts';

/** Each is compared with every entry of every log. */
const IN_FORCE_MAX = 8;

export interface ImaPoliciesNow {
  /** The value of `imaPolicyState` before they were read. */
  readonly state: string;
  readonly policies: ImaPolicies;
}

interface PolicyOrder {
  readonly name: string;
  readonly version: string;
  readonly actor: string;
  readonly nowMs: number;
}

export class ImaPolicyStore {
  readonly #database: Database;
  #loaded: ImaPoliciesNow | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Every policy that is not withdrawn. Opened again only when this node or another has published or withdrawn one. */
  async now(): Promise<ImaPoliciesNow> {
    const state = await imaPolicyState(this.#database.read);
    if (this.#loaded?.state === state) return this.#loaded;
    const rows = await this.#database.read
      .selectFrom('ima_policy')
      .select('document')
      .where('withdrawn_at', 'is', null)
      .orderBy('published_at', 'desc')
      .orderBy('name')
      .orderBy('version')
      .execute();
    const opened = rows.map((row) => openImaPolicy(parseImaPolicy(row.document)));
    this.#loaded = { state, policies: new ImaPolicies(opened) };
    return this.#loaded;
  }

  async list(): Promise<readonly Omit<ImaPolicyRow, 'document' | 'signature'>[]> {
    return this.#database.read
      .selectFrom('ima_policy')
      .select(['name', 'version', 'publisher', 'published_at', 'withdrawn_at'])
      .orderBy('published_at', 'desc')
      .execute();
  }

  /** Verifies the OMS bundle over the document against the trusted publishers. `pcrs` are what every quote covers. */
  async publish(order: {
    readonly document: Uint8Array;
    readonly signature: string;
    readonly pcrs: readonly number[];
    readonly actor: string;
    readonly nowMs: number;
  }): Promise<ImaPolicyRow> {
    const { document, signature, pcrs, actor, nowMs } = order;
    const publishers = await listPublishers(this.#database);
    const publisher = verifySignedDocument(document, signature, publishers);
    const { name, version } = parseImaPolicy(document);
    if (!pcrs.includes(IMA_PCR)) {
      const message = `no log can be compared: PCR ${IMA_PCR} is never quoted (the setting pcrs)`;
      throw new HubError('reference-values-refused', message, { reasons: [{ code: 'pcr-not-quoted', message }] });
    }
    const row = { name, version, document, signature, publisher, published_at: nowMs, withdrawn_at: null };
    await this.#database.write(async (trx) => {
      await assertPublisher(trx, publisher, nowMs);
      const rows = await trx.selectFrom('ima_policy').select(['name', 'version', 'withdrawn_at']).execute();
      if (rows.some((each) => each.name === name && each.version === version))
        throw new HubError('conflict', `the IMA policy ${name} ${version} is published already`);
      if (rows.filter((each) => each.withdrawn_at === null).length >= IN_FORCE_MAX)
        throw new HubError('conflict', `${IN_FORCE_MAX} IMA policies are in force: withdraw one first`);
      await trx.insertInto('ima_policy').values(row).execute();
      const data = { digest: sha256Hex(document), publisher };
      const kind = 'ima-policy-published';
      await appendEntry(trx, { at: nowMs, kind, actor, subject: `${name}@${version}`, data });
    });
    return row;
  }

  /** From now on, logs that only this policy accepts are not accepted. */
  async withdraw({ name, version, actor, nowMs }: PolicyOrder): Promise<void> {
    await this.#database.write(async (trx) => {
      const { numUpdatedRows } = await trx
        .updateTable('ima_policy')
        .set({ withdrawn_at: nowMs })
        .where('name', '=', name)
        .where('version', '=', version)
        .where('withdrawn_at', 'is', null)
        .executeTakeFirst();
      if (Number(numUpdatedRows) === 0)
        throw new HubError('not-found', `no IMA policy ${name} ${version} in force: \`edgekeep ima-policy list\``);
      const kind = 'ima-policy-withdrawn';
      await appendEntry(trx, { at: nowMs, kind, actor, subject: `${name}@${version}`, data: {} });
    });
  }
}

/** A text that identifies what is published and withdrawn now: rows are only added or withdrawn. */
export async function imaPolicyState(db: Kysely<Tables>): Promise<string> {
  const [{ policies, withdrawn } = { policies: 0, withdrawn: 0 }] = await policiesCounted(db, {});
  return `${policies} ${withdrawn}`;
}

const policiesCounted = prepared<object, { policies: number; withdrawn: number }>((db) =>
  db
    .selectFrom('ima_policy')
    .select((q) => [q.fn.countAll<number>().as('policies'), q.fn.count<number>('withdrawn_at').as('withdrawn')]),
);
