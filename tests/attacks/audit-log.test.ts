// A rewritten history must be refused: by the hub itself when it starts, and by the fleet when the hub cooperates.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { verifyLog } from '@edgekeep/cli/audit/verify-log';
import { openLogSource } from '@edgekeep/cli/audit/log-source';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { encodeForkProof, verifyForkProof } from '@edgekeep/core/audit/fork-proof';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { utf8 } from '@edgekeep/core/bytes';
import { accepted, assertRefused } from '../support/answer.ts';
import { inStore, type OutsideStore } from '../support/outside-store.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { TestWitness } from '../support/witness.ts';
import { copyHub, exchangeHub, exchangeStore, removeCopy } from '../support/world-copy.ts';
import { alertList } from '@edgekeep/wire/api/alert';
import { z } from 'zod';

let fleet: SoftwareWorld;
let witness: TestWitness;
/** The hub's folder as it was before the test. */
let kept: string;

before(async () => {
  fleet = await SoftwareWorld.open();
  await fleet.world.publishModel('surface', '1.0.0', 'weights');
  kept = join(fleet.world.folder, 'kept');
});
after(() => fleet?.[Symbol.asyncDispose]());

beforeEach(async () => {
  witness = new TestWitness(fleet.world.hub.logKey, fleet.device.witness);
  await fleet.device.release(fleet.link, 'surface', '1.0.0');
  assert.equal((await witness.checkIn(fleet.link, nowSeconds())).kind, 'consistent');
  await keepCopy(kept);
});
afterEach(async () => {
  await fleet.world.stop();
  await exchangeHub(fleet.world, kept);
  await fleet.world.start();
  await fleet.reconnect();
});

const nowSeconds = () => Math.floor(fleet.world.clock.now() / 1_000);

/** Copies the stopped hub's folder, then starts it again. */
async function keepCopy(to: string): Promise<void> {
  await fleet.world.stop();
  await removeCopy(fleet.world, to);
  await copyHub(fleet.world, to);
  await fleet.world.start();
  await fleet.reconnect();
}

/** Some history: entries without importance. */
async function makeHistory(entries: number): Promise<void> {
  for (let at = 0; at < entries; at += 1) await fleet.world.enrollmentToken();
  await fleet.world.integrated();
}

/** The result of starting the hub on its present folder. */
async function assertStartRefused(says: RegExp): Promise<void> {
  await assert.rejects(fleet.world.start(), (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error);
    assert.equal(error.code, 'log-rewritten', error.message);
    assert.match(error.message, says);
    return true;
  });
}

const rowSchema = z.object({ entry: z.instanceof(Uint8Array) });
const releasedEntry = `select log_index, entry from audit_entry where entry like '%key-released%' limit 1`;

/** The first release as an attacker would rewrite it. */
async function forgedRelease(store: OutsideStore): Promise<Uint8Array> {
  const [row] = await store.rows(releasedEntry);
  const { entry } = rowSchema.parse(row);
  const forged = Buffer.from(entry).toString('utf8').replace('"software"', '"tpm"');
  assert.notEqual(forged, Buffer.from(entry).toString('utf8'));
  return utf8(forged);
}

const where = `where log_index = (select log_index from audit_entry where entry like '%key-released%' limit 1)`;

const edits: Readonly<Record<string, readonly [(store: OutsideStore) => Promise<unknown>, RegExp]>> = {
  'an entry was changed': [
    async (store) => store.run(`update audit_entry set entry = ? ${where}`, await forgedRelease(store)),
    /is not the one that was logged/,
  ],
  'an entry and its hash were changed': [
    async (store) => {
      const forged = await forgedRelease(store);
      return store.run(`update audit_entry set entry = ?, leaf_hash = ? ${where}`, forged, leafHash(forged));
    },
    /already published with other content|do not match the signed root/,
  ],
  'the newest entry was taken away': [
    (store) => store.run('delete from audit_entry where log_index = (select max(log_index) from audit_entry)'),
    /were signed|was signed|are left/,
  ],
  'all signed checkpoints were taken away': [
    (store) => store.run('delete from audit_checkpoint'),
    /is published, the store knows only/,
  ],
};
for (const [name, [edit, says]] of Object.entries(edits)) {
  test(`a hub does not start when ${name}`, async () => {
    await fleet.world.stop();
    await inStore(fleet.world.place, edit);
    await assertStartRefused(says);
  });
}

test('a hub whose published tiles were edited does not start', async () => {
  await fleet.world.stop();
  const { size } = await headOf(fleet.world.hubFolder);
  const tile = join(fleet.world.hubFolder, 'log', 'tile', '0', `000.p`, String(size));
  const bytes = await readFile(tile);
  await writeFile(
    tile,
    bytes.map((byte) => byte ^ 1),
  );
  await assertStartRefused(/already published with other content/);
});

// SECURITY.md: HUB-26
test('a hub whose store was set back to an earlier copy does not start', async () => {
  const earlier = join(fleet.world.folder, 'earlier');
  await keepCopy(earlier);
  await makeHistory(3);
  await fleet.world.stop();
  await exchangeStore(fleet.world, earlier);
  await assertStartRefused(/is published, the store knows only/);
});

test('a hub that was set back as a whole is caught by the device that saw more', async () => {
  const earlier = join(fleet.world.folder, 'earlier');
  await keepCopy(earlier);
  await makeHistory(3);
  assert.equal((await witness.checkIn(fleet.link, nowSeconds())).kind, 'consistent');
  await fleet.world.stop();
  await exchangeHub(fleet.world, earlier);
  await fleet.world.start();
  await fleet.reconnect();
  const verdict = await witness.follow(fleet.link);
  assert.equal(verdict.kind, 'refused');
  if (verdict.kind !== 'refused') return;
  // Both signatures of the log are kept as evidence.
  const { first, second } = verdict.unexplained ?? assert.fail('nothing was kept to hold against the log');
  for (const note of [first, second]) assert.equal(openCheckpoint(note, fleet.world.hub.logKey).kind, 'verified');
});

// SECURITY.md: HUB-26
test('a forked hub is caught by a device, with a proof that anybody can verify', async () => {
  const fork = join(fleet.world.folder, 'fork');
  await keepCopy(fork);
  // A proof by the tree's size alone needs one that is no power of two.
  await makeHistory(4);
  assert.equal((await witness.checkIn(fleet.link, nowSeconds())).kind, 'consistent');
  const seen = witness.size;

  // The other history begins at the same point and has other entries.
  await fleet.world.stop();
  await exchangeHub(fleet.world, fork);
  await fleet.world.start();
  await fleet.reconnect();
  const { logKey } = fleet.world.hub;
  let size = 0;
  while (size < seen) {
    await fleet.world.apiToken(['devices:read']);
    await fleet.world.integrated();
    ({ size } = await headOf(fleet.world.hubFolder));
  }

  for (const kind of ['same-size', 'other-prefix'] as const) {
    if (kind === 'other-prefix') {
      await makeHistory(2);
      // A checkpoint waits for cosignatures for a minute before the next one is offered.
      fleet.world.clock.advanceSeconds(61);
    }
    const verdict = await witness.follow(fleet.link);
    if (verdict.kind !== 'fork') assert.fail(`${kind}: ${verdict.kind}`);
    assert.equal(verdict.proof.kind, kind);
    assert.equal(verifyForkProof(verdict.proof, logKey).kind, 'proven');
    const forkProof = Buffer.from(encodeForkProof(verdict.proof)).toString('utf8');
    accepted(await fleet.link.ask('POST', '/v1/reports', { forkProof }), z.object({ accepted: z.literal(true) }));
    const [entry] = (await fleet.world.entries('fork-reported')).slice(-1);
    assert.equal(entry?.actor, 'device:software');
    assert.deepEqual(entry?.data, { kind });
  }
  const { alerts } = await fleet.world.operator.get('/v1/alerts?kind=log-fork', alertList);
  assert.deepEqual(
    alerts.map(({ severity, count, data }) => ({ severity, count, data })),
    [{ severity: 'critical', count: 2, data: { proofs: ['same-size', 'other-prefix'], devices: ['software'] } }],
  );
});

test('a fork proof that proves nothing is refused, and logged nowhere', async () => {
  const note = await readFile(join(fleet.world.hubFolder, 'log', 'checkpoint'));
  const honest = { kind: 'same-size', first: note, second: note } as const;
  const forkProof = Buffer.from(encodeForkProof(honest)).toString('utf8');
  const answer = await fleet.link.ask('POST', '/v1/reports', { forkProof });
  assertRefused(answer, { status: 400, code: 'request-invalid', says: /does not prove a fork/ });
  assert.deepEqual(await fleet.world.entries('fork-reported'), []);
});

test('a cosignature that is false, of another key, of another time or of another tree is refused', async () => {
  await makeHistory(1);
  assert.equal((await witness.follow(fleet.link)).kind, 'consistent');
  const textOf = async (by: TestWitness, seconds: number) => Buffer.from(await by.cosigned(seconds)).toString('utf8');
  const text = await textOf(witness, nowSeconds());
  const own = text.split('\n').at(-2) ?? '';
  const flipped = `${own.slice(0, -12)}${own.at(-12) === 'A' ? 'B' : 'A'}${own.slice(-11)}`;
  const stranger = new TestWitness(fleet.world.hub.logKey, { ...fleet.device.witness, name: 'edgekeep.test/device/x' });
  await stranger.follow(fleet.link);
  const cases: readonly (readonly [string, number, string])[] = [
    [text.replace(own, flipped), 422, 'cosignature-refused'],
    [text.replace(`${own}\n`, ''), 422, 'cosignature-refused'],
    [await textOf(stranger, nowSeconds()), 422, 'cosignature-refused'],
    [await textOf(witness, nowSeconds() + 900), 422, 'cosignature-refused'],
    [text.replace(/\n\d+\n/, '\n1\n'), 409, 'witness-behind'],
  ];
  for (const [checkpoint, status, code] of cases) {
    assertRefused(await fleet.link.ask('POST', '/v1/cosignatures', { checkpoint }), { status, code });
  }
});

test('the log that was left alone verifies from its first entry to its last', async () => {
  const { hubFolder, hub } = fleet.world;
  const note = await readFile(join(hubFolder, 'log', 'checkpoint'));
  const opened = openCheckpoint(note, hub.logKey);
  if (opened.kind !== 'verified') assert.fail(opened.reasons.join());
  const source = openLogSource(join(hubFolder, 'log'));
  const verdict = await verifyLog(source, opened.checkpoint, { hashesOnly: false, progress: () => undefined });
  assert.equal(verdict.kind, 'verified', JSON.stringify(verdict));
});

async function headOf(hubFolder: string): Promise<{ readonly size: number }> {
  const [, size] = (await readFile(join(hubFolder, 'log', 'checkpoint'), 'utf8')).split('\n');
  return { size: Number(size) };
}
