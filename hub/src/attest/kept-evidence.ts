// Keeps the evidence behind released keys, for the long form of receipts (spec/receipt.md, "Evidence that is kept"). The logs of a boot are
// files, once each; what a device signed for one release is a row beside its lease.
import { type KeptEvidence } from '@edgekeep/core/access/long-receipt';
import {
  evidenceOriginOf,
  evidenceOriginSchema,
  evidenceWithOrigin,
  type ReleaseEvidence,
} from '@edgekeep/core/access/release-evidence';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { parseBase64url, parseHex, toBase64url, toHex } from '@edgekeep/core/bytes';
import { encodeCanonicalJson, parseCanonicalJson } from '@edgekeep/core/json';
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type {
  EvidenceContentRow,
  EvidencePart,
  ReleaseEvidencePartRow,
  ReleaseEvidenceRow,
} from '../store/tables/attest.ts';
import type { DeviceRow } from '../store/tables/registry.ts';
import { EvidenceOrigins } from './evidence-origins.ts';
import { removedOf } from './evidence-retention.ts';
import { contentOf, type EvidenceContent, type EvidenceStore, type StoredContent } from './evidence-store.ts';
import type { RootKeys } from './root-keys.ts';

export interface ReleasedEvidence {
  readonly device: Pick<DeviceRow, 'id' | 'identity'>;
  readonly evidence: Evidence;
  readonly exporter: Uint8Array;
  readonly wraps?: readonly string[] | undefined;
  readonly appraisal: Pick<Appraisal, 'imaLog'>;
}

/** Evidence whose files are on disk. Until it is disposed, nothing removes them. */
export interface Kept extends Disposable {
  /** For the entry of the release. */
  readonly digests: ReleaseEvidence;
  /** Adds the rows, in the transaction of the release. */
  record(trx: WriteTransaction, lease: { readonly id: string; readonly grantedAtMs: number }): Promise<void>;
}

const textsSchema = z.array(z.string());

export class EvidenceKeeper {
  readonly #database: Pick<Database, 'read'>;
  readonly #files: EvidenceStore;
  readonly #origins: EvidenceOrigins;

  constructor(database: Pick<Database, 'read'>, files: EvidenceStore, rootKeys: Pick<RootKeys, 'attestationKey'>) {
    this.#database = database;
    this.#files = files;
    this.#origins = new EvidenceOrigins(rootKeys);
  }

  async keep(released: ReleasedEvidence): Promise<Kept> {
    const { device, evidence } = released;
    const known = await this.#origins.of(this.#database.read, device);
    const digests = known && evidenceWithOrigin(evidence, known.digests);
    if (known === undefined || digests === undefined)
      throw new HubError('attestation-refused', `the evidence is not of the kind that ${device.id} is registered with`);
    const parts: { readonly part: EvidencePart; readonly stored: StoredContent }[] = [];
    const release = () => this.#files.release(parts.map(({ stored }) => stored.sha256));
    try {
      for (const [part, content] of partsOf(evidence, known.content, digests))
        parts.push({ part, stored: await this.#files.put(content) });
    } catch (error) {
      release();
      throw error;
    }
    const files = this.#files;
    return {
      digests,
      async record(trx, { id, grantedAtMs }) {
        await insertEvidence(trx, { lease_id: id, granted_at: grantedAtMs, ...rowOf(released) });
        if (files.isShared) await assertStays(trx, files, parts);
        for (const { part, stored } of parts) {
          await insertContent(trx, stored);
          await insertPart(trx, { lease_id: id, part, sha256: stored.sha256 });
        }
      },
      [Symbol.dispose]: release,
    };
  }

  /** Throws `evidence-not-kept` when there is none, or no longer. */
  async of(leaseId: string): Promise<KeptEvidence> {
    const { read } = this.#database;
    const row = await read
      .selectFrom('release_evidence')
      .selectAll()
      .where('lease_id', '=', leaseId)
      .executeTakeFirst();
    const parts = await read.selectFrom('release_evidence_part').selectAll().where('lease_id', '=', leaseId).execute();
    const bytes = new Map<EvidencePart, Uint8Array>();
    for (const { part, sha256 } of parts) {
      const found = await this.#files.read(sha256);
      if (found === undefined) throw notKept(leaseId, `evidence/${sha256.slice(0, 2)}/${sha256} is missing or damaged`);
      bytes.set(part, found);
    }
    const origin = bytes.get('origin');
    if (row === undefined || origin === undefined)
      throw notKept(leaseId, 'it was released before evidence was kept, or its time or the space is over');
    const { ima_entries: entries } = row;
    return {
      evidence: evidenceOf(row, bytes),
      exporter: row.exporter,
      wraps: row.wraps === null ? undefined : textsSchema.parse(JSON.parse(row.wraps)),
      imaStart: entries === 0 ? undefined : { entries, value: parseHex(row.ima_value, 'ima_value') },
      origin: evidenceOriginOf(parseCanonicalJson(origin, evidenceOriginSchema, 'evidence origin')),
    };
  }
}

/** Throws `artifacts-busy` where another node is removing one of them now: the next attempt writes it anew. */
async function assertStays(
  trx: WriteTransaction,
  files: EvidenceStore,
  parts: readonly { readonly stored: StoredContent }[],
): Promise<void> {
  const { now, gone } = await removedOf(
    trx,
    files,
    parts.map(({ stored }) => stored),
  );
  if (now.length === 0 && gone.length === 0) return;
  files.forget(now, false);
  files.forget(gone, true);
  throw new HubError('artifacts-busy', 'the evidence of this release was being removed: try again', {
    retryAfterSeconds: 1,
  });
}

const insertEvidence = prepared<ReleaseEvidenceRow, never>((db, value) =>
  db.insertInto('release_evidence').values({
    lease_id: value('lease_id'),
    device_id: value('device_id'),
    granted_at: value('granted_at'),
    kind: value('kind'),
    signed: value('signed'),
    signature: value('signature'),
    exporter: value('exporter'),
    wraps: value('wraps'),
    ima_entries: value('ima_entries'),
    ima_value: value('ima_value'),
  }),
);

const insertContent = prepared<EvidenceContentRow, never>((db, value) =>
  db
    .insertInto('evidence_content')
    .values({ sha256: value('sha256'), size: value('size') })
    .onConflict((conflict) => conflict.column('sha256').doNothing()),
);

const insertPart = prepared<ReleaseEvidencePartRow, never>((db, value) =>
  db
    .insertInto('release_evidence_part')
    .values({ lease_id: value('lease_id'), part: value('part'), sha256: value('sha256') }),
);

function partsOf(
  evidence: Evidence,
  origin: EvidenceContent,
  digests: ReleaseEvidence,
): readonly (readonly [EvidencePart, EvidenceContent])[] {
  const parts: (readonly [EvidencePart, EvidenceContent])[] = [
    ['origin', origin],
    ['event-log', contentOf(evidence.eventLog, digests.eventLog)],
  ];
  if (evidence.kind === 'tpm' && evidence.imaLog !== undefined) parts.push(['ima-log', contentOf(evidence.imaLog)]);
  if (evidence.kind === 'dice') parts.push(['chain', contentOf(encodeCanonicalJson(evidence.chain.map(toBase64url)))]);
  return parts;
}

function rowOf({
  device,
  evidence,
  exporter,
  wraps,
  appraisal,
}: ReleasedEvidence): Omit<ReleaseEvidenceRow, 'lease_id' | 'granted_at'> {
  const hasIma = evidence.kind === 'tpm' && evidence.imaLogFrom !== undefined;
  const start = hasIma ? appraisal.imaLog?.start : undefined;
  return {
    device_id: device.id,
    kind: evidence.kind,
    signed: evidence.kind === 'tpm' ? evidence.quote : evidence.statement,
    signature: evidence.signature,
    exporter,
    wraps: wraps === undefined ? null : JSON.stringify(wraps),
    ima_entries: start?.entries ?? 0,
    ima_value: start === undefined ? '' : toHex(start.value),
  };
}

function evidenceOf(
  { kind, signed, signature, ima_entries: imaLogFrom }: ReleaseEvidenceRow,
  parts: ReadonlyMap<EvidencePart, Uint8Array>,
): Evidence {
  const eventLog = parts.get('event-log') ?? new Uint8Array(0);
  const imaLog = parts.get('ima-log');
  switch (kind) {
    case 'tpm':
      return {
        kind,
        quote: signed,
        signature,
        eventLog,
        ...(imaLog === undefined ? {} : { imaLog }),
        ...(imaLogFrom === 0 ? {} : { imaLogFrom }),
      };
    case 'software':
      return { kind, statement: signed, signature, eventLog };
    case 'dice': {
      const texts = parseCanonicalJson(parts.get('chain') ?? new Uint8Array(0), textsSchema, 'evidence chain');
      return {
        kind,
        statement: signed,
        signature,
        eventLog,
        chain: texts.map((text) => parseBase64url(text, 'chain')),
      };
    }
  }
}

function notKept(leaseId: string, why: string): HubError {
  return new HubError('evidence-not-kept', `the evidence of lease ${leaseId} is not here: ${why}. Its receipt is`);
}
