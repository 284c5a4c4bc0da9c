// Receipts from what is stored: they verify offline, and a device gets its own only.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { always, alwaysLog, type Trust } from '@edgekeep/core/access/trust';
import { cosign } from '@edgekeep/core/audit/cosignature';
import { encodeNote, parseNote, verifierKey } from '@edgekeep/core/audit/note';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import { signerFromKey } from '@edgekeep/core/signer';
import { generateKeyPairSync } from 'node:crypto';
import { AuditLog } from '../audit/log.ts';
import { checkpointsIn, entriesIn } from '../audit/store-source.ts';
import { CosignatureCollector } from '../audit/witness.ts';
import { testPublisher } from '../publisher/testing-publisher.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { Receipts } from './receipts.ts';
import { ask, nowMs, openReleaseHub, testVerifier } from './testing-release.ts';
import { ofTpm, testPolicies } from '../audit/testing-witness.ts';

const newKey = () => signerFromKey(generateKeyPairSync('ed25519').privateKey);

async function openReceipts() {
  const hub = await openReleaseHub();
  const { database } = hub;
  const signer = { name: 'hub.example/audit', signer: newKey() };
  const folder = join(hub.folder, 'log');
  const log = await AuditLog.open({
    source: entriesIn(database),
    checkpoints: checkpointsIn(database),
    folder,
    signer,
  });
  database.onCommit = () => log.wake();
  const collector = new CosignatureCollector({ log, policies: testPolicies(1), maxRoundSeconds: 60 });
  const witness = { name: 'hub.example/device/press-2', signer: newKey() };
  const key = verifierKey(witness.name, witness.signer.publicKey, 'cosignature-v1');
  const trust = (quorum: number): Trust => ({
    logs: [alwaysLog(log.key)],
    attestationKeys: [always(testVerifier.publicKey)],
    publisherKeys: [always(testPublisher.publicKey)],
    policy: witnessPolicy([key], quorum),
  });
  return {
    hub,
    receipts: new Receipts(database, log, collector),
    verify: (receipt: Uint8Array, quorum = 0) => verifyReceipt(receipt, trust(quorum)),
    async witness() {
      collector.register('press-2', key, ofTpm);
      const offer = await collector.offer(0, nowMs / 1_000);
      assert.ok(offer.kind === 'offer');
      const note = parseNote(offer.checkpoint);
      const lines = await cosign(note.text, nowMs / 1_000, witness);
      const cosigned = encodeNote({ ...note, signatures: [...note.signatures, ...lines] });
      assert.equal(collector.accept('press-2', cosigned, nowMs / 1_000).kind, 'kept');
    },
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]();
      await hub[Symbol.asyncDispose]();
    },
  };
}

test('the receipt of a release verifies with public keys alone, and names device, model and lease', async () => {
  await using scene = await openReceipts();
  const { lease, recorded } = await ask(scene.hub);
  const verdict = scene.verify(await scene.receipts.forRelease(recorded));
  assert.ok(verdict.kind === 'verified', JSON.stringify(verdict));
  const { release } = verdict.summary;
  assert.deepEqual([release.device.id, release.model.name, release.lease.id], ['press-1', 'belt', lease.id]);
});

test('a receipt is proven under a checkpoint that covers it: the witnessed one, once there is one', async () => {
  await using scene = await openReceipts();
  const first = await ask(scene.hub);
  const early = await scene.receipts.forRelease(first.recorded);
  assert.equal(scene.verify(early, 1).kind, 'refused');
  await scene.witness();
  const second = await ask(scene.hub);
  await scene.receipts.forRelease(second.recorded);
  assert.equal(scene.verify(await scene.receipts.forLease(first.lease.id), 1).kind, 'verified');
  const unwitnessed = await scene.receipts.forLease(second.lease.id);
  assert.deepEqual([scene.verify(unwitnessed, 0).kind, scene.verify(unwitnessed, 1).kind], ['verified', 'refused']);
});

test('a device reads the receipts of its own leases, and an operator those of all', async () => {
  await using scene = await openReceipts();
  const { lease, recorded } = await ask(scene.hub);
  await scene.receipts.forRelease(recorded);
  await scene.receipts.forLease(lease.id, 'press-1');
  await scene.receipts.forLease(lease.id);
  assert.equal(await refusalOf(scene.receipts.forLease(lease.id, 'press-2')), 'not-found');
  assert.equal(await refusalOf(scene.receipts.forLease('none', 'press-1')), 'not-found');
});
