// A hub asks a public witness for cosignatures (spec/audit-log.md, "Public witnesses"): receipts carry its line, a witness that fails is named.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { findProgram } from '@edgekeep/cli/program';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { receiptResponse } from '@edgekeep/wire/api/access';
import { alertList } from '@edgekeep/wire/api/alert';
import { publicWitnessList, witnessPolicyView } from '@edgekeep/wire/api/audit';
import { closeAll } from './support/closing.ts';
import { PublicWitness } from './support/public-witness.ts';
import { SoftwareWorld } from './support/software-world.ts';

let folder: string;
let witness: PublicWitness;
let fleet: SoftwareWorld;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-witness-'));
  witness = await PublicWitness.open(folder);
  const one = { url: witness.url, key: witness.key, trustedPem: witness.pem };
  fleet = await SoftwareWorld.open({ witness: { quorum: 0, roundSeconds: 1, public: [one] } });
  const { world } = fleet;
  witness.log = world.hub.logKey;
  await world.publishModel('surface', '1.0.0', 'weights');
  const text = `witness w1 ${witness.key}\nquorum w1\n`;
  const policy = { quorum: 0, tiers: ['software'], whenUnmet: 'name-weaker', text };
  await world.operator.send('PUT', '/v1/witness-policy', policy, witnessPolicyView);
});
after(async () => {
  await closeAll(witness, fleet);
  await rm(folder, { recursive: true, force: true });
});

async function receiptOf(leaseId: string) {
  const { receipt } = await fleet.world.operator.get(`/v1/receipts/${leaseId}`, receiptResponse);
  return verifyReceipt(Buffer.from(receipt, 'base64url'), { ...(await fleet.world.trust()), whenUnmet: 'refuse' });
}

/** Each look is a request to the hub. */
async function witnessed(leaseId: string): Promise<readonly string[]> {
  for (;;) {
    const verdict = await receiptOf(leaseId);
    if (verdict.kind === 'verified') return verdict.summary.log.cosignatures.map(({ witness: name }) => name);
  }
}

const listed = async () => (await fleet.world.operator.get('/v1/public-witnesses', publicWitnessList)).witnesses;

async function alerts(state: string): Promise<readonly string[]> {
  const path = `/v1/alerts?kind=public-witness&state=${state}`;
  return (await fleet.world.operator.get(path, alertList)).alerts.map(({ subject }) => subject);
}

test('a receipt that needs the public witness is whole once the witness has cosigned', async () => {
  const { lease } = await fleet.device.releaseBound(fleet.link, 'surface', '1.0.0');
  assert.deepEqual(await witnessed(lease.id), ['witness.example/w1']);
  // It does not know the log in the first moments of the hub.
  assert.equal(
    witness.seen.find((each) => !each.endsWith('404')),
    'old 0: 200',
  );
  // The turn of the witness ends, and is counted, after the receipt.
  const counted = /edgekeep_public_witness_requests_total\{witness="witness.example\/w1",outcome="cosigned"\} [1-9]/;
  const metrics = async () => Buffer.from(await fleet.world.operator.getBytes('/metrics')).toString();
  while (!counted.test(await metrics()));
});

test('a hub that was started again knows which tree the witness has seen, and goes on from there', async () => {
  const [known] = await listed();
  assert.ok(known !== undefined && known.cosignedSize > 0);
  assert.deepEqual(
    [known.name, known.url, known.failures, known.problem],
    ['witness.example/w1', witness.url, 0, null],
  );
  const args = [findProgram('@edgekeep/cli/main').file, 'public-witness', 'list'];
  const shown = await promisify(execFile)(process.execPath, [...args, '--operator', fleet.world.operatorFile]);
  assert.match(shown.stdout, /witness\.example\/w1 +[1-9][0-9]* +.* 0 +next checkpoint +-/);
  const before = witness.seen.length;
  await fleet.world.restart();
  assert.deepEqual((await listed())[0]?.cosignedSize, known.cosignedSize);
  await fleet.reconnect();
  const { lease } = await fleet.device.releaseBound(fleet.link, 'surface', '1.0.0');
  await witnessed(lease.id);
  assert.equal(witness.seen[before], `old ${known.cosignedSize}: 200`);
});

test('failures and the pause after them outlive a start', async () => {
  witness.mode = 'broken';
  await fleet.device.releaseBound(fleet.link, 'surface', '1.0.0');
  let [failing] = await listed();
  while (failing?.problem !== 'it answered 500') [failing] = await listed();
  await fleet.world.restart();
  await fleet.reconnect();
  const [now] = await listed();
  assert.ok((now?.failures ?? 0) >= failing.failures && (now?.nextAt ?? 0) >= (failing.nextAt ?? 0));
  assert.equal(now?.problem, 'it answered 500');
  witness.mode = 'right';
  while ((await listed())[0]?.problem !== null) fleet.world.clock.advanceSeconds(1);
});

// SECURITY.md: HUB-103
test('a witness that fails, signs another tree, names a larger one or answers in another protocol is an alert and no witness until it is right again', async () => {
  for (const mode of ['other-protocol', 'larger', 'twice', 'broken', 'false'] as const) {
    witness.mode = mode;
    const { lease } = await fleet.device.releaseBound(fleet.link, 'surface', '1.0.0');
    while ((await alerts('standing')).length === 0) fleet.world.clock.advanceSeconds(10);
    assert.deepEqual(await alerts('standing'), ['witness:witness.example/w1']);
    assert.equal((await receiptOf(lease.id)).kind, 'refused');
    const [failing] = await listed();
    assert.ok(failing !== undefined && failing.failures >= 3 && failing.problem !== null, mode);
    assert.ok((failing.nextAt ?? 0) > (failing.askedAt ?? 0));
    witness.mode = 'right';
    while ((await alerts('standing')).length > 0) fleet.world.clock.advanceSeconds(10);
    await witnessed(lease.id);
  }
});
