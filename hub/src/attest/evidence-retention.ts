// How long the evidence behind released keys is kept, and how much of it (spec/receipt.md, "Evidence that is kept"). What a device sends is
// large where an attacker wants it to be: when space is short, the device that holds most gives its oldest first.
import { type Kysely, sql } from 'kysely';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { EvidenceStore, StoredContent } from './evidence-store.ts';

export interface EvidenceSettings {
  readonly keepDays: number;
  readonly maxMebibytes: number;
}

interface RetentionDependencies {
  readonly database: Database;
  readonly files: EvidenceStore;
  readonly settings: EvidenceSettings;
  readonly clock: Clock;
}

const MEBIBYTE = 1_048_576;
const dayMs = 86_400_000;
const everyMilliseconds = 600_000;
/** Receipts in one transaction: other writers wait a few milliseconds. */
const BATCH_MAX = 200;
/** After space was short, some is free before it is short again. */
const FREE_SHARE = 0.1;

/** In place of a size, where other nodes write too: a node removes the content now, or has removed it. */
const BEING_REMOVED = -1;
const GONE = -2;

/**
 * Those of these contents that are removed now, or are gone and were not written since: a release cannot rest on them. What was written since is
 * there again.
 */
export async function removedOf(
  trx: WriteTransaction,
  files: EvidenceStore,
  contents: readonly StoredContent[],
): Promise<{ readonly now: readonly string[]; readonly gone: readonly string[] }> {
  const digests = contents.map(({ sha256 }) => sha256);
  const rows = await trx
    .selectFrom('evidence_content')
    .selectAll()
    .where('sha256', 'in', digests)
    .where('size', '<', 0)
    .execute();
  const gone: string[] = [];
  for (const { sha256 } of rows.filter(({ size }) => size === GONE)) {
    if (files.isWrittenAnew(sha256))
      await trx.deleteFrom('evidence_content').where('sha256', '=', sha256).where('size', '=', GONE).execute();
    else gone.push(sha256);
  }
  return { now: rows.filter(({ size }) => size === BEING_REMOVED).map(({ sha256 }) => sha256), gone };
}

interface Removed {
  readonly receipts: number;
  /** The devices that gave it, for space. */
  readonly devices: readonly string[];
}

export function evidenceRetention({ database, files, settings, clock }: RetentionDependencies): Job {
  return {
    name: 'evidence-retention',
    summary: 'removes the evidence of released keys when its time or its space is over',
    everyMilliseconds,
    // Each node has a folder of its own.
    runsOn: 'every-node',
    async run(signal) {
      const nowMs = clock();
      const byAge = await removeOld(database, nowMs - settings.keepDays * dayMs, signal);
      await removeUnused(database, files);
      const bySpace = await removeLargest(database, files, settings.maxMebibytes * MEBIBYTE, signal);
      await removeStrangers(database, files);
      await weigh(database, { byAge, bySpace, settings, nowMs });
    },
  };
}

/** Bytes of all files that a receipt needs, and the receipts. */
export async function evidenceUse(db: Kysely<Tables>): Promise<{ readonly bytes: number; readonly receipts: number }> {
  const { bytes } = await db
    .selectFrom('evidence_content')
    .select(sql<number>`coalesce(sum(size), 0)`.as('bytes'))
    .where('size', '>=', 0)
    .executeTakeFirstOrThrow();
  const { receipts } = await db
    .selectFrom('release_evidence')
    .select((q) => q.fn.countAll<number>().as('receipts'))
    .executeTakeFirstOrThrow();
  return { bytes, receipts };
}

async function removeOld(database: Database, beforeMs: number, signal: AbortSignal): Promise<Removed> {
  let receipts = 0;
  while (!signal.aborted) {
    const removed = await database.writeAsHub(async (trx) => {
      const old = await trx
        .selectFrom('release_evidence')
        .select('lease_id')
        .where('granted_at', '<', beforeMs)
        .orderBy('granted_at')
        .limit(BATCH_MAX)
        .execute();
      return removeRows(trx, old);
    });
    receipts += removed;
    if (removed < BATCH_MAX) break;
  }
  return { receipts, devices: [] };
}

async function removeLargest(
  database: Database,
  files: EvidenceStore,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Removed> {
  const devices = new Set<string>();
  let receipts = 0;
  let { bytes } = await evidenceUse(database.read);
  if (bytes <= maxBytes) return { receipts, devices: [] };
  while (!signal.aborted && bytes > maxBytes * (1 - FREE_SHARE)) {
    const removed = await database.writeAsHub(async (trx) => {
      const holder = await largestHolder(trx);
      if (holder === undefined) return 0;
      devices.add(holder.device);
      const oldest = await trx
        .selectFrom('release_evidence')
        .select('lease_id')
        .where('device_id', '=', holder.device)
        .orderBy('granted_at')
        .orderBy('lease_id')
        .limit(Math.min(BATCH_MAX, Math.ceil(holder.receipts * FREE_SHARE)))
        .execute();
      return removeRows(trx, oldest);
    });
    receipts += removed;
    if (removed === 0) break;
    await removeUnused(database, files);
    ({ bytes } = await evidenceUse(database.read));
  }
  return { receipts, devices: [...devices] };
}

/** The device whose receipts need most bytes; a file that several devices need counts for each. */
async function largestHolder(
  trx: WriteTransaction,
): Promise<{ readonly device: string; readonly receipts: number } | undefined> {
  const needed = trx
    .selectFrom('release_evidence')
    .innerJoin('release_evidence_part as part', 'part.lease_id', 'release_evidence.lease_id')
    .innerJoin('evidence_content as content', 'content.sha256', 'part.sha256')
    .select(['release_evidence.device_id as device', 'content.sha256 as sha256', 'content.size as size'])
    .distinct();
  const row = await trx
    .selectFrom(needed.as('needed'))
    .select(['device', sql<number>`sum(size)`.as('bytes')])
    .groupBy('device')
    .orderBy('bytes', 'desc')
    .orderBy('device')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { receipts } = await trx
    .selectFrom('release_evidence')
    .select((q) => q.fn.countAll<number>().as('receipts'))
    .where('device_id', '=', row.device)
    .executeTakeFirstOrThrow();
  return { device: row.device, receipts };
}

async function removeRows(trx: WriteTransaction, rows: readonly { readonly lease_id: string }[]): Promise<number> {
  const ids = rows.map(({ lease_id }) => lease_id);
  if (ids.length === 0) return 0;
  await trx.deleteFrom('release_evidence_part').where('lease_id', 'in', ids).execute();
  await trx.deleteFrom('release_evidence').where('lease_id', 'in', ids).execute();
  return ids.length;
}

/** Contents that no receipt needs. The row goes first: a file without a row is found again, a row without its file is a hole. */
async function removeUnused(database: Database, files: EvidenceStore): Promise<void> {
  for (;;) {
    const unused = await database.writeAsHub(async (trx) => {
      const rows = await trx
        .selectFrom('evidence_content')
        .leftJoin('release_evidence_part as part', 'part.sha256', 'evidence_content.sha256')
        .select('evidence_content.sha256')
        .where('part.sha256', 'is', null)
        .limit(BATCH_MAX)
        .execute();
      const digests = rows.map(({ sha256 }) => sha256);
      if (digests.length > 0) await trx.deleteFrom('evidence_content').where('sha256', 'in', digests).execute();
      return digests;
    });
    // Where other nodes write, it goes when it is old enough, as what nobody names.
    if (!files.isShared) for (const sha256 of unused) await files.remove(sha256);
    if (unused.length < BATCH_MAX) return;
  }
}

/** Files whose release was never recorded, because it was refused at the last moment or the hub was killed. */
async function removeStrangers(database: Database, files: EvidenceStore): Promise<void> {
  let some: string[] = [];
  for await (const sha256 of files.list()) {
    some.push(sha256);
    if (some.length < BATCH_MAX) continue;
    await removeUnnamed(database, files, some);
    some = [];
  }
  await removeUnnamed(database, files, some);
}

async function removeUnnamed(database: Database, files: EvidenceStore, some: readonly string[]): Promise<void> {
  if (some.length === 0) return;
  const rows = await database.read
    .selectFrom('evidence_content')
    .select('sha256')
    .where('sha256', 'in', some)
    .execute();
  const known = new Set(rows.map(({ sha256 }) => sha256));
  for (const sha256 of some.filter((each) => !known.has(each))) {
    if (files.isShared) await removeClaimed(database, files, sha256);
    else await files.remove(sha256);
  }
}

/**
 * A release at another node that wants to name it meanwhile sees the claim, and is asked to come back. The claim stays until the next run: a
 * release that wrote the content before it was removed, and names it after that, sees that it is gone.
 */
async function removeClaimed(database: Database, files: EvidenceStore, sha256: string): Promise<void> {
  const claimed = await database.writeAsHub((trx) =>
    trx
      .insertInto('evidence_content')
      .values({ sha256, size: BEING_REMOVED })
      .onConflict((conflict) => conflict.column('sha256').doNothing())
      .executeTakeFirst(),
  );
  if (claimed.numInsertedOrUpdatedRows !== 1n) return;
  await files.remove(sha256);
  await database.writeAsHub((trx) =>
    trx
      .updateTable('evidence_content')
      .set({ size: GONE })
      .where('sha256', '=', sha256)
      .where('size', '=', BEING_REMOVED)
      .execute(),
  );
}

interface Outcome {
  readonly byAge: Removed;
  readonly bySpace: Removed;
  readonly settings: EvidenceSettings;
  readonly nowMs: number;
}

async function weigh(database: Database, { byAge, bySpace, settings, nowMs }: Outcome): Promise<void> {
  const { maxMebibytes } = settings;
  const about = { kind: 'evidence-space', subject: { part: 'evidence' }, nowMs } as const;
  await database.writeAsHub(async (trx) => {
    if (byAge.receipts > 0 || bySpace.receipts > 0) {
      const data = { forAge: byAge.receipts, forSpace: bySpace.receipts };
      await appendEntry(trx, { at: nowMs, kind: 'evidence-removed', actor: 'hub', subject: 'evidence', data });
    }
    if (bySpace.receipts > 0) {
      await raiseAlert(trx, {
        ...about,
        severity: 'high',
        title: `evidence of released keys takes more than ${maxMebibytes} MiB: the oldest of the devices with most was removed, their receipts have no long form`,
        data: { setting: 'evidence.maxMebibytes', devices: [...bySpace.devices] },
      });
      return;
    }
    const { bytes } = await evidenceUse(trx);
    if (bytes < maxMebibytes * MEBIBYTE * (1 - 2 * FREE_SHARE))
      await settleAlert(trx, { ...about, note: 'there is space again' });
  });
}
