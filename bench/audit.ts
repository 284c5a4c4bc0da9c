// The audit log under load: integration into tiles and signed checkpoints with every file fsynced, proofs, and verification of a whole log.
import { hash, generateKeyPairSync } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { encodeAuditEntry } from '@edgekeep/core/audit/entry';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { parseNote } from '@edgekeep/core/audit/note';
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { signerFromKey } from '@edgekeep/core/signer';
import { AuditLog } from '@edgekeep/hub/audit/log';
import type { CheckpointStore, EntrySource, LoggedEntry } from '@edgekeep/hub/audit/log-store';
import { openLogSource } from '@edgekeep/cli/audit/log-source';
import { verifyLog } from '@edgekeep/cli/audit/verify-log';
import { appendEncodedEntry } from '@edgekeep/hub/audit/append';
import { Database } from '@edgekeep/hub/store/database';
import type { StorePlace } from '@edgekeep/hub/store/engine/place';
import { serverPrograms } from '@edgekeep/hub/store/testing-cluster';
import { databaseOf } from '@edgekeep/hub/store/testing-place';
import { type Benchmark, type Harness, number, percentile } from './harness.ts';

const RATE_MIN = 10_000;
const POSTGRES_RATE_MIN = 8_000;
const appendsAtOnce = 512;
const INTEGRATED_MS_MAX = 1000;

export const bench: Benchmark = {
  name: 'audit',
  title: 'Audit log: append, integrate, prove, verify',
  budget:
    'audit append, each entry a write of its own, durable: >= 10,000/s on SQLite, >= 8,000/s on PostgreSQL; inclusion proof available: integrated < 1 s',
  async run(harness) {
    const count = harness.quick ? 20_000 : 100_000;
    const entries = Array.from({ length: count }, (_, at) => realEntry(at));
    await appendAll(harness, 'SQLite', join(harness.scratch, 'append.sqlite'), entries, RATE_MIN);
    if (serverPrograms() === undefined) harness.note('PostgreSQL is not installed: not measured.');
    else await appendAll(harness, 'PostgreSQL', await databaseOf(harness.scratch), entries, POSTGRES_RATE_MIN);
    const rate = await integrateAll(harness, entries);
    const slowest = await integrateSteadily(harness, entries);
    harness.verdict(
      rate >= RATE_MIN && slowest < INTEGRATED_MS_MAX,
      `${Math.round(rate)} entries/s integrated (at least ${RATE_MIN}); at ${RATE_MIN}/s the slowest entry waited ${Math.round(slowest)} ms (below ${INTEGRATED_MS_MAX})`,
    );
  },
};

/** Entries as requests write them: each in a write of its own, many at once. */
async function appendAll(
  harness: Harness,
  name: string,
  place: StorePlace,
  entries: readonly LoggedEntry[],
  minRate: number,
): Promise<void> {
  await using database = await Database.open(place);
  const remaining = entries.slice(0, harness.quick ? 10_000 : 50_000).values();
  let count = 0;
  const worker = async () => {
    for (const { entry } of remaining) {
      await database.writeAsHub((trx) => appendEncodedEntry(trx, entry));
      count += 1;
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: appendsAtOnce }, worker));
  const rate = (count * 1000) / (performance.now() - began);
  harness.verdict(rate >= minRate, `${name}: ${number(rate)} entries/s appended, each durable (at least ${minRate})`);
}

/** All entries at once: how fast the log can be. The peer hashes and writes the same bytes to one file with one fsync. */
async function integrateAll(harness: Harness, entries: readonly LoggedEntry[]): Promise<number> {
  let run = 0;
  let folder = '';
  const comparison = await harness.compare({
    title: `${entries.length} entries of ${entries[0]?.entry.length ?? 0} bytes`,
    rounds: harness.quick ? 2 : 4,
    work: { amount: entries.length, unit: 'entry' },
    peers: [
      { name: 'hash and write to one file, one fsync', run: () => plainFile(harness, entries, run++) },
      {
        name: 'integrate: tiles, bundles, checkpoints, all fsynced',
        run: async () => {
          folder = join(harness.scratch, `log-${run++}`);
          await using log = await AuditLog.open({ ...storeOf(entries, () => entries.length), folder, signer });
          await log.integrated(entries.length - 1);
        },
      },
    ],
  });
  await readBack(harness, entries, folder);
  return comparison.peers[1]?.rate?.median ?? 0;
}

/** Proofs from the finished log, and the public verification of it. */
async function readBack(harness: Harness, entries: readonly LoggedEntry[], folder: string): Promise<void> {
  const store = storeOf(entries, () => entries.length);
  const before = performance.now();
  await using log = await AuditLog.open({ ...store, folder, signer, checkpoints: await savedIn(folder) });
  harness.figure(
    'open a log and compare every entry with what was signed',
    (entries.length * 1000) / (performance.now() - before),
    'entries/s',
  );

  const proofs = 5000;
  const start = performance.now();
  for (let at = 0; at < proofs; at += 1) await log.proofFor(entries.length - 1 - (at % 2000));
  harness.figure(
    'inclusion proofs for the newest 2,000 entries',
    (proofs * 1000) / (performance.now() - start),
    'proofs/s',
  );

  const begun = performance.now();
  const checkpoint = parseCheckpoint(parseNote(log.checkpoint()).text);
  const verdict = await verifyLog(openLogSource(folder), checkpoint, { hashesOnly: false, progress: () => undefined });
  if (verdict.kind === 'refused') throw new Error(verdict.reasons.join('; '));
  harness.figure(
    'audit verify of the whole folder',
    (entries.length * 1000) / (performance.now() - begun),
    'entries/s',
  );
}

/** Entries that arrive at the budget's rate: how long one waits until a checkpoint covers it. */
async function integrateSteadily(harness: Harness, entries: readonly LoggedEntry[]): Promise<number> {
  let size = 0;
  const folder = join(harness.scratch, 'steady');
  await using log = await AuditLog.open({ ...storeOf(entries, () => size), folder, signer });
  const waits: number[] = [];
  const pending: Promise<void>[] = [];
  const began = performance.now();
  while (size < entries.length) {
    const due = Math.min(entries.length, Math.ceil(((performance.now() - began) / 1000) * RATE_MIN));
    for (; size < due; size += 1) {
      const arrived = performance.now();
      pending.push(log.integrated(size).then(() => void waits.push(performance.now() - arrived)));
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
  await Promise.all(pending);
  harness.figure(`p50 from commit to checkpoint at ${RATE_MIN} entries/s`, percentile(waits, 0.5), 'ms');
  harness.figure(`p99 from commit to checkpoint at ${RATE_MIN} entries/s`, percentile(waits, 0.99), 'ms');
  return percentile(waits, 1);
}

const signer = { name: 'bench.example/audit', signer: signerFromKey(generateKeyPairSync('ed25519').privateKey) };

function storeOf(
  entries: readonly LoggedEntry[],
  size: () => number,
): { readonly source: EntrySource; readonly checkpoints: CheckpointStore } {
  let saved: Uint8Array | undefined;
  return {
    source: { size: async () => size(), read: async (from, to) => entries.slice(from, to) },
    checkpoints: {
      latest: async () => saved,
      save: async (note) => {
        saved = note;
        return note;
      },
    },
  };
}

async function savedIn(folder: string): Promise<CheckpointStore> {
  const note = await openLogSource(folder).read('checkpoint', 10_000);
  return { latest: async () => note, save: async (next) => next };
}

async function plainFile(harness: Harness, entries: readonly LoggedEntry[], run: number): Promise<void> {
  await using file = await open(join(harness.scratch, `plain-${run}`), 'w');
  for (let from = 0; from < entries.length; from += 4096) {
    const batch = entries.slice(from, from + 4096);
    for (const { entry } of batch) hash('sha256', entry, 'buffer');
    await file.write(Buffer.concat(batch.map(({ entry }) => entry)));
  }
  await file.sync();
}

function realEntry(at: number): LoggedEntry {
  const entry = encodeAuditEntry({
    type: 'edgekeep-audit-entry/v1',
    at: 1_800_000_000_000 + at,
    kind: 'device-attested',
    actor: `device:press-${at % 1000}`,
    subject: `device:press-${at % 1000}`,
    data: {
      status: 'affirming',
      tier: 'tpm',
      attestationResult: hash('sha256', String(at), 'hex'),
      policy: 'press-line 3',
    },
  });
  return { entry, leafHash: leafHash(entry) };
}
