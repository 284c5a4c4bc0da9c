// The evidence behind released keys: kept once a boot, for its time, within its space, and no device pushes out that of another.
import assert from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { longBoot } from '@edgekeep/core/attest/testing';
import { listAlerts } from '../alert/alert-list.ts';
import { ask, nowMs, openReleaseHub, press, type ReleaseHub, second } from '../access/testing-release.ts';
import { HubError } from '../common/error.ts';
import { evidenceRetention, evidenceUse } from './evidence-retention.ts';
import { EvidenceFiles } from './evidence-files.ts';
import { contentOf } from './evidence-store.ts';

const dayMs = 86_400_000;
const anyBoot = { lease: { enforcedBy: 'agent', maxPerWindow: 1_000 } };

async function openEvidenceHub() {
  const hub = await openReleaseHub(anyBoot);
  const folder = join(hub.folder, 'evidence');
  const { database, evidenceFiles: files } = hub;
  return {
    hub,
    folder,
    files: async () =>
      (await readdir(folder, { recursive: true })).filter((name) => /[0-9a-f]{64}$/.test(name)).toSorted(),
    use: () => evidenceUse(database.read),
    sweep: (settings: { keepDays?: number; maxMebibytes?: number }, atMs = nowMs) =>
      evidenceRetention({
        database,
        files,
        settings: { keepDays: 3_650, maxMebibytes: 10_240, ...settings },
        clock: () => atMs,
      }).run(new AbortController().signal),
    [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose](),
  };
}

async function kept({ parts }: ReleaseHub, leaseId: string): Promise<string> {
  try {
    await parts.evidenceKeeper.of(leaseId);
    return 'kept';
  } catch (error) {
    assert.ok(error instanceof HubError, String(error));
    return error.code;
  }
}

test('the logs of a boot are kept once, however often its keys are released', async () => {
  await using scene = await openEvidenceHub();
  const { hub } = scene;
  const first = await ask(hub);
  const files = await scene.files();
  // The event log, and what the evidence is verified with.
  assert.equal(files.length, 2);
  const again = await ask(hub);
  assert.deepEqual(await scene.files(), files);
  assert.equal((await scene.use()).receipts, 2);
  const [one, two] = [
    await hub.parts.evidenceKeeper.of(first.lease.id),
    await hub.parts.evidenceKeeper.of(again.lease.id),
  ];
  assert.deepEqual(one.evidence.eventLog, two.evidence.eventLog);
  assert.ok(one.origin.kind === 'tpm');
});

test('evidence is removed when its time is over, and its files with the last receipt that needs them', async () => {
  await using scene = await openEvidenceHub();
  const { hub } = scene;
  const old = await ask(hub);
  const young = await ask(hub, { nowMs: nowMs + 3 * dayMs });
  await scene.sweep({ keepDays: 2 }, nowMs + 3 * dayMs);
  assert.deepEqual([await kept(hub, old.lease.id), await kept(hub, young.lease.id)], ['evidence-not-kept', 'kept']);
  assert.equal((await scene.files()).length, 2);
  await scene.sweep({ keepDays: 2 }, nowMs + 6 * dayMs);
  assert.equal(await kept(hub, young.lease.id), 'evidence-not-kept');
  assert.deepEqual([await scene.files(), await scene.use()], [[], { bytes: 0, receipts: 0 }]);
});

// SECURITY.md: HUB-68
test('a device that sends long logs loses its own evidence for space, and no other device does', async () => {
  await using scene = await openEvidenceHub();
  const { hub } = scene;
  const honest = await ask(hub, { device: second });
  for (let boot = 0; boot < 3; boot += 1) {
    const evidence = press.evidence({ qualifyingData: new Uint8Array(32), events: longBoot(4_000 + boot) });
    const exporter = new Uint8Array(32);
    using long = await hub.parts.evidenceKeeper.keep({ device: press.row, evidence, exporter, appraisal: {} });
    await hub.database.writeAsHub((trx) => long.record(trx, { id: `long-${boot}`, grantedAtMs: nowMs + boot }));
  }
  assert.ok((await scene.use()).bytes > 1_048_576);
  await scene.sweep({ maxMebibytes: 1 });
  assert.ok((await scene.use()).bytes <= 1_048_576);
  assert.equal(await kept(hub, honest.lease.id), 'kept');
  assert.equal(await kept(hub, 'long-0'), 'evidence-not-kept');
  const { alerts } = await listAlerts(hub.database.read, { state: 'standing', kind: 'evidence-space', limit: 10 });
  assert.deepEqual(
    alerts.map(({ data }) => data['devices']),
    [['press-1']],
  );
  await scene.sweep({ maxMebibytes: 10 });
  const after = await listAlerts(hub.database.read, { state: 'standing', kind: 'evidence-space', limit: 10 });
  assert.deepEqual(after.alerts, []);
});

test('a file that is changed or missing is found, and files that no release named are removed', async () => {
  await using scene = await openEvidenceHub();
  const { hub, folder } = scene;
  const { lease } = await ask(hub);
  const stranger = 'ab'.repeat(32);
  await new EvidenceFiles(folder).put(contentOf(Buffer.from('left by a killed hub')));
  await scene.sweep({});
  assert.equal((await scene.files()).length, 2);
  assert.ok(!(await scene.files()).some((name) => name.endsWith(stranger)));
  const [file = ''] = await scene.files();
  await writeFile(join(folder, file), 'changed');
  assert.equal(await kept(hub, lease.id), 'evidence-not-kept');
  await rm(join(folder, file));
  assert.equal(await kept(hub, lease.id), 'evidence-not-kept');
});

test('nothing removes a file between its writing and the release that names it', async () => {
  await using scene = await openEvidenceHub();
  const files = new EvidenceFiles(scene.folder);
  const { sha256 } = await files.put(contentOf(Buffer.from('a log')));
  await files.remove(sha256);
  assert.ok(await files.read(sha256));
  files.release([sha256]);
  await files.remove(sha256);
  assert.equal(await files.read(sha256), undefined);
});
