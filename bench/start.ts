// The start of a hub whose log is long: the rows that decide are compared with the log, and only the entries since the last digest of the state are
// read (docs/design/security-state.md). Then the check of the whole, which runs beside the hub.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import { encodeAuditEntry } from '@edgekeep/core/audit/entry';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { toBase64url } from '@edgekeep/core/bytes';
import { initHub } from '@edgekeep/hub/commands/init';
import { hubSettingsSchema } from '@edgekeep/hub/settings';
import { startHub } from '@edgekeep/hub/wiring/start';
import type { Benchmark, Harness } from './harness.ts';

const START_SECONDS_MAX = 5;
const devices = 10_000;
const tagsOfEach = 3;

export const bench: Benchmark = {
  name: 'start',
  title: 'The start of a hub with a long log',
  budget: 'start with replay of the security state at 1 M entries: < 5 s',
  async run(harness) {
    const count = harness.quick ? 100_000 : 1_000_000;
    const folder = join(harness.scratch, 'hub');
    const free = { port: 0 };
    const settings = hubSettingsSchema.parse({
      device: free,
      operator: free,
      logLevel: 'silent',
      witness: { quorum: 0 },
    });
    await initHub(folder, { rootFolder: join(folder, 'root'), settings, nowMs: Date.now() });
    fillStore(join(folder, 'hub.sqlite'), count);
    const start = () => startHub(folder, settings);
    const first = await measured(
      harness,
      `first start: ${count} entries enter the log, ${devices} devices are adopted`,
      start,
    );
    await first[Symbol.asyncDispose]();
    const seconds: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const began = performance.now();
      const hub = await start();
      seconds.push((performance.now() - began) / 1_000);
      if (round === 0)
        await measured(harness, 'check of the whole log and of every row, in its thread', () => hub.checkState());
      await hub[Symbol.asyncDispose]();
    }
    const slowest = Math.max(...seconds);
    const fits = slowest < START_SECONDS_MAX;
    const text = `the slowest of ${seconds.length} starts with ${count} entries and ${devices} devices took ${slowest.toFixed(2)} s (below ${START_SECONDS_MAX})`;
    harness.verdict(fits, text);
  },
};

async function measured<T>(harness: Harness, what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const value = await work();
  harness.note(`${what}: ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  return value;
}

/** Entries of releases, and devices with tags, as a hub of a version before the state would have left them. */
function fillStore(path: string, count: number): void {
  using store = new DatabaseSync(path);
  store.exec('BEGIN');
  const next = Number(store.prepare('select max(log_index) + 1 as next from audit_entry').get()?.['next']);
  const entry = store.prepare('insert into audit_entry values (?, ?, ?)');
  for (let at = 0; at < count; at += 1) {
    const bytes = entryNumber(at);
    entry.run(next + at, bytes, leafHash(bytes));
  }
  const device = store.prepare(
    "insert into device (id, tier, state, state_reason, identity, root_sha256, witness_key, enrolled_at, seen_at, reset_count) values (?, 'software', 'active', '', ?, ?, ?, 1, 1, -1)",
  );
  const tag = store.prepare('insert into device_tag values (?, ?, ?)');
  for (let at = 0; at < devices; at += 1) {
    const id = `device-${at}`;
    const root = createHash('sha256').update(id).digest('hex');
    device.run(id, JSON.stringify({ kind: 'software', key: root.repeat(6) }), root, `key-${at}`);
    for (let each = 0; each < tagsOfEach; each += 1) tag.run(id, `tag-${each}`, `value-${at % 7}`);
  }
  store.exec('COMMIT');
}

function entryNumber(at: number): Uint8Array {
  const salt = toBase64url(createHash('sha256').update(String(at)).digest().subarray(0, 16));
  return encodeAuditEntry({
    type: 'edgekeep-audit-entry/v2',
    salt,
    at: 1_700_000_000_000 + at,
    kind: 'key-released',
    actor: `device:device-${at % devices}`,
    subject: `device:device-${at % devices}`,
    data: { model: 'opaque', version: '1.0.0', lease: salt.repeat(2), policyVersion: 1 },
  });
}
