// A release receipt verifies offline with public keys alone, and stops doing so when any part of it is exchanged.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type ReceiptVerdict, verifyReceipt } from '@edgekeep/core/access/receipt';
import { CoreError } from '@edgekeep/core/error';
import { encodeCanonicalJson, type Json } from '@edgekeep/core/json';
import { receiptResponse } from '@edgekeep/wire/api/access';
import { assertRefused } from '../support/answer.ts';
import { HubWorld } from '../support/hub-world.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { TestWitness } from '../support/witness.ts';

const run = promisify(execFile);

let fleet: SoftwareWorld;
/** It witnesses what the first one receives. */
let other: TestDevice;
/** Receipts of two releases, of two models, under a cosigned checkpoint. */
let first: Uint8Array;
let second: Uint8Array;
let uncosigned: Uint8Array;

before(async () => {
  fleet = await SoftwareWorld.open({ witness: { tiers: ['software'] } });
  const { world, device, link } = fleet;
  other = await TestDevice.withoutTpm('other', join(world.folder, 'other'));
  await other.enroll(world);
  await world.publishModel('surface', '1.0.0', 'weights');
  await world.publishModel('crack', '1.0.0', 'other weights');
  const surface = await device.release(link, 'surface', '1.0.0');
  const crack = await device.release(link, 'crack', '1.0.0');
  uncosigned = Buffer.from(surface.receipt, 'base64url');
  const witness = new TestWitness(world.hub.logKey, other.witness);
  await using otherLink = await other.connect(world.hub);
  await witness.checkIn(otherLink, Math.floor(world.clock.now() / 1_000));
  first = await receiptOf(surface.lease.id);
  second = await receiptOf(crack.lease.id);
});
after(async () => {
  await other?.[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
});

async function receiptOf(leaseId: string): Promise<Uint8Array> {
  const { receipt } = await fleet.world.operator.get(`/v1/receipts/${leaseId}`, receiptResponse);
  return Buffer.from(receipt, 'base64url');
}

async function verdictOn(receipt: Uint8Array): Promise<ReceiptVerdict['kind'] | 'broken'> {
  try {
    return verifyReceipt(receipt, await fleet.world.trust()).kind;
  } catch (error) {
    if (error instanceof CoreError) return 'broken';
    throw error;
  }
}

type Members = Record<string, Json | undefined>;

function membersOf(receipt: Uint8Array): Members {
  const members: Members = JSON.parse(Buffer.from(receipt).toString('utf8'));
  return members;
}

// SECURITY.md: DEV-25
test('a genuine receipt verifies with what GET /v1/trust says, and names device, model and witness', async () => {
  const verdict = verifyReceipt(first, await fleet.world.trust());
  if (verdict.kind !== 'verified') assert.fail(verdict.reasons.join('\n'));
  const { release, log, attestation } = verdict.summary;
  assert.equal(release.device.id, 'software');
  assert.equal(release.device.tier, 'software');
  assert.equal(release.model.name, 'surface');
  assert.equal(attestation.subject, 'software');
  assert.deepEqual(
    log.cosignatures.map(({ witness }) => witness),
    [other.witness.name],
  );
});

test('the command line verifies it offline, from two files', async () => {
  const [receiptFile, trustFile] = [join(fleet.world.folder, 'receipt.json'), join(fleet.world.folder, 'trust.json')];
  await writeFile(receiptFile, first);
  await writeFile(trustFile, await fleet.world.operator.getBytes('/v1/trust'));
  const main = createRequire(import.meta.url).resolve('@edgekeep/cli/main');
  const { stdout } = await run(process.execPath, [main, 'receipt', 'verify', receiptFile, '--trust', trustFile]);
  assert.match(stdout, /^verified\n/);
  await writeFile(receiptFile, encodeCanonicalJson({ ...membersOf(first), entry: membersOf(second)['entry'] }));
  await assert.rejects(run(process.execPath, [main, 'receipt', 'verify', receiptFile, '--trust', trustFile]), {
    code: 1,
  });
});

// SECURITY.md: HUB-34
test('a receipt that no witness cosigned does not verify where the policy asks for one', async () => {
  assert.equal(await verdictOn(uncosigned), 'refused');
  const trust = await fleet.world.trust();
  assert.equal(verifyReceipt(uncosigned, { ...trust, policy: { ...trust.policy, quorum: 0 } }).kind, 'verified');
});

test('a receipt with one part of another genuine receipt does not verify', async (t) => {
  const [own, foreign] = [membersOf(first), membersOf(second)];
  for (const name of Object.keys(own).filter((member) => member !== 'type')) {
    await t.test(name, async () => {
      assert.notDeepEqual(own[name], foreign[name], 'the parts are the same, so this shows nothing');
      assert.notEqual(await verdictOn(encodeCanonicalJson({ ...own, [name]: foreign[name] })), 'verified');
    });
  }
  await t.test('manifest and signature together', async () => {
    const { manifest, modelSignature } = foreign;
    assert.notEqual(await verdictOn(encodeCanonicalJson({ ...own, manifest, modelSignature })), 'verified');
  });
});

test('a receipt of one hub does not verify under the trust of another', async () => {
  const other = await HubWorld.open();
  try {
    const device = await TestDevice.withoutTpm('stranger', join(other.folder, 'stranger'));
    await device.enroll(other);
    const verdict = verifyReceipt(first, await other.trust());
    if (verdict.kind !== 'refused') assert.fail('it was believed');
    const about = new Set(verdict.reasons.map((reason) => reason.split(':')[0]));
    assert.deepEqual([...about], ['log', 'attestation', 'model']);
    await device[Symbol.asyncDispose]();
  } finally {
    await other[Symbol.asyncDispose]();
  }
});

test('a device sees its own receipts only', async () => {
  const { world } = fleet;
  const lease = (await world.device('software')).leases[0]?.id ?? '';
  const other = await TestDevice.withoutTpm('curious', join(world.folder, 'curious'));
  await other.enroll(world);
  await using link = await other.connect(world.hub);
  assert.equal((await fleet.link.ask('GET', `/v1/receipts/${lease}`)).status, 200);
  assertRefused(await link.ask('GET', `/v1/receipts/${lease}`), { status: 404, code: 'not-found' });
  await other[Symbol.asyncDispose]();
});
