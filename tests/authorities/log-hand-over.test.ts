// The log is handed over to a new key: devices follow by the words of both logs, also those that were off; receipts of both verify; a log that goes on
// after its end is proven to have forked (spec/audit-log.md, "Hand-over").
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { parseCheckpoint, signCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { parseForkProof, verifyForkProof } from '@edgekeep/core/audit/fork-proof';
import { parseLogEnd, verifyLogEnd } from '@edgekeep/core/audit/hand-over';
import { parseNote, type VerifierKey } from '@edgekeep/core/audit/note';
import { signerFromKey } from '@edgekeep/core/signer';
import { receiptResponse } from '@edgekeep/wire/api/access';
import { hubKeysView, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { closeAll } from '../support/closing.ts';
import type { HubWorld } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { type Story, TestAgent } from '../support/test-agent.ts';

let fleet: SoftwareWorld;
let world: HubWorld;
let root: OfflineRoot;
let awake: TestAgent;
let asleep: TestAgent;
let misled: TestAgent;
let story: Story;
let former: VerifierKey;
let early: Uint8Array;

before(async () => {
  fleet = await SoftwareWorld.open();
  ({ world } = fleet);
  former = world.hub.logKey;
  root = await OfflineRoot.open(join(world.folder, 'root'), world.clock.now);
  await world.publishModel('surface', '1.0.0', 'weights');
  early = await releasedNow();
  awake = await TestAgent.prepare(world, 'awake');
  asleep = await TestAgent.prepare(world, 'asleep');
  misled = await TestAgent.prepare(world, 'misled');
  for (const agent of [asleep, misled]) {
    await (await agent.start()).next('attested');
    await agent.stop();
  }
  story = await awake.start();
  await story.next('attested');
});
after(() => closeAll(fleet, awake, asleep, misled));

const send = <T>(path: string, body: object, schema: Parameters<typeof world.operator.send<T>>[3]) =>
  world.operator.send('POST', `/v1/authorities/keys/${path}`, body, schema);

async function releasedNow(): Promise<Uint8Array> {
  const { lease } = await fleet.device.release(fleet.link, 'surface', '1.0.0');
  const { receipt } = await world.operator.get(`/v1/receipts/${lease.id}`, receiptResponse);
  return Buffer.from(receipt, 'base64url');
}

const originSeen = async (agent: TestAgent) =>
  (await readFile(join(agent.stateFolder, 'checkpoint'), 'utf8')).split('\n')[0];

/** Waits until the device has followed the log; each look is a request. */
async function seesLog(agent: TestAgent, origin: string): Promise<void> {
  while ((await originSeen(agent)) !== origin) await keysOf();
}

const keysOf = () => world.operator.get('/v1/authorities/keys', hubKeysView);

/** The new key signs once the tree has reached the end of the former log. */
async function signsAs(origin: string): Promise<void> {
  while (world.hub.logKey.name !== origin) await keysOf();
}

async function handOver(stolenAt?: number): Promise<void> {
  const body = { purposes: ['log'], ...(stolenAt === undefined ? {} : { stolenAt }) };
  const { request } = await send('request', body, keyRequestResponse);
  const { keys } = await send('list', { keyList: await root.signKeys(request) }, hubKeysView);
  const next = keys.find(({ purpose, status }) => purpose === 'log' && status === 'next');
  if (next !== undefined) await send(`${next.id}/activate`, { force: true }, hubKeysView);
}

// SECURITY.md: HUB-92
test('the log ends and the next begins, an agent follows while it runs, and receipts of both logs verify', async () => {
  await handOver();
  await signsAs('edgekeep.test/log/2');
  await seesLog(awake, 'edgekeep.test/log/2');
  const end = parseLogEnd(await readFile(join(awake.stateFolder, 'log-end.json')));
  assert.equal(verifyLogEnd(end, former).kind, 'ended');
  const late = await releasedNow();
  const trust = { ...(await world.trust()), policy: { witnesses: [], quorum: 0 } };
  for (const receipt of [early, late]) assert.equal(verifyReceipt(receipt, trust).kind, 'verified');
});

test('a device that was off over the hand-over follows on its return', async () => {
  await asleep.start();
  await asleep.story.next('attested');
  await seesLog(asleep, 'edgekeep.test/log/2');
});

test('a device that was made after the hand-over enrolls, names its hybrid key, and recovers', async () => {
  await using made = await TestAgent.prepare(world, 'made-later');
  const first = await made.start();
  await first.next('attested');
  await first.next('hybrid-key-registered');
  await made.stop();
  const again = await made.start();
  await again.next('recovered');
  await again.next('attested');
});

test('a restarted hub goes on with the next log, and hands over again; a device that was off over both follows both', async () => {
  await asleep.stop();
  await world.stop();
  await world.start();
  assert.equal(world.hub.logKey.name, 'edgekeep.test/log/2');
  await fleet.reconnect();
  await handOver(world.clock.now() - 1_000);
  await signsAs('edgekeep.test/log/3');
  await asleep.start();
  await seesLog(asleep, 'edgekeep.test/log/3');
  const trust = { ...(await world.trust()), policy: { witnesses: [], quorum: 0 } };
  assert.equal(verifyReceipt(await releasedNow(), trust).kind, 'verified');
});

// SECURITY.md: HUB-92
test('the thief of the first log key signed a longer log after its end, and a device that saw it proves that', async () => {
  const stolen = signerFromKey(createPrivateKey(await readFile(join(world.hubFolder, 'keys', 'log-key.pem'))));
  const head = { size: 1_000_000, root: Buffer.alloc(32, 7) };
  await writeFile(
    join(misled.stateFolder, 'checkpoint'),
    await signCheckpoint(head, { name: former.name, signer: stolen }),
  );
  await misled.start();
  await misled.story.next('fork-detected');
  const proof = parseForkProof(await readFile(join(misled.stateFolder, 'fork-proof.json')));
  assert.equal(proof.kind, 'after-end');
  assert.equal(verifyForkProof(proof, former).kind, 'proven');
  assert.ok(parseCheckpoint(parseNote(proof.first).text).size < head.size);
});
