// A log and a witness with two keys, end to end: a hub with `logPostQuantum`, an agent with `postQuantumWitness`, the command line as verifier.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseTrust } from '@edgekeep/core/access/trust';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import {
  classicalPart,
  encodeNote,
  encodeVerifierKey,
  parseNote,
  type SignedNote,
  verifierKeyOf,
} from '@edgekeep/core/audit/note';
import { verifyQuorum } from '@edgekeep/core/audit/quorum';
import { mlDsaSigner } from '@edgekeep/core/post-quantum/ml-dsa';
import { signerFromKey } from '@edgekeep/core/signer';
import { auditList } from '@edgekeep/wire/api/audit';
import { z } from 'zod';
import { edgekeep } from './main-job/edgekeep.ts';
import { HubWorld } from './support/hub-world.ts';
import { allowSoftware, TestAgent } from './support/test-agent.ts';

let world: HubWorld;
let device: TestAgent;
let other: TestAgent;
const id = 'press-pq';
const models = [{ name: 'opaque', use: 'program' as const }];

before(async () => {
  world = await HubWorld.open({
    settings: { logPostQuantum: true, witness: { quorum: 1, roundSeconds: 1, tiers: ['software'] } },
  });
  await allowSoftware(world);
  await world.publishModel('opaque', '1.0.0', 'the weights');
  // The receiver of a key is no witness of its release.
  other = await TestAgent.prepare(world, 'witness-pq', { postQuantumWitness: true });
  const witnessing = await other.start();
  await witnessing.next('cosigned');
  device = await TestAgent.prepare(world, id, { postQuantumWitness: true, models });
  const story = await device.start();
  await story.next('released');
  await story.next('cosigned');
  // One that has the release in its tree.
  await world.enrollmentToken({ deviceId: 'spare-0' });
  await witnessing.next('cosigned');
});
after(async () => {
  await device?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

async function entriesOf(kind: string) {
  const { entries } = await world.operator.get('/v1/audit', auditList);
  return entries.filter((entry) => entry.kind === kind);
}

test('the hub signs by both keys, and says in the log that it has a second one', async () => {
  const { logKey } = world.hub;
  assert.ok(logKey.postQuantum !== undefined);
  assert.equal(openCheckpoint((await world.askOperator('GET', '/log/checkpoint')).body, logKey).kind, 'verified');
  assert.equal((await entriesOf('log-key-added')).length, 1);
});

test('the trust file has both keys of log and witness, and the checkpoint both cosignatures', async () => {
  const trust = parseTrust(await world.operator.getBytes('/v1/trust'));
  const witness = trust.policy.witnesses.find(({ name }) => name.endsWith(`/${id}`));
  assert.ok(witness?.postQuantum !== undefined && trust.logs[0]?.key.postQuantum !== undefined);
  // The event may be about the entry before this one: at the second one the device has cosigned the checkpoint.
  const cosigned = async () => {
    await world.enrollmentToken({ deviceId: 'spare' });
    await device.story.next('cosigned');
    return parseNote((await world.askOperator('GET', '/log/checkpoint')).body);
  };
  const isMet = (found: SignedNote) => verifyQuorum(found, { witnesses: [witness], quorum: 1 }).kind === 'met';
  const first = await cosigned();
  const note = isMet(first) ? first : await cosigned();
  assert.ok(isMet(note));
  const stripped = note.signatures.filter(({ signature }) => signature.length !== 8 + 2420);
  assert.equal(verifyQuorum({ ...note, signatures: stripped }, { witnesses: [witness], quorum: 1 }).kind, 'refused');
  const before = { witnesses: [classicalPart(witness)], quorum: 1 };
  assert.equal(verifyQuorum({ ...note, signatures: stripped }, before).kind, 'met');
});

// SECURITY.md: HUB-80
test('a receipt with two cosignatures of a witness verifies by the trust file, and without the second signatures it is refused', async () => {
  const trust = join(world.folder, 'trust.json');
  await writeFile(trust, await world.operator.getBytes('/v1/trust'));
  const [first] = await entriesOf('key-released');
  const released = z.looseObject({ lease: z.looseObject({ id: z.string() }) }).parse(first?.data);
  const file = join(world.folder, 'receipt.json');
  const fetched = await edgekeep('receipt', 'get', released.lease.id, '--out', file, '--operator', world.operatorFile);
  assert.equal(fetched.code, 0, fetched.stderr);
  const verified = await edgekeep('receipt', 'verify', file, '--trust', trust, '--quorum', '1');
  assert.equal(verified.code, 0, verified.stderr);
  const receipt = await readFile(file, 'utf8');
  const lines = receipt.split('\\n').filter((line) => !line.startsWith('— ') || line.length < 1_000);
  await writeFile(file, lines.join('\\n'));
  assert.notEqual((await edgekeep('receipt', 'verify', file, '--trust', trust, '--quorum', '0')).code, 0);
});

// SECURITY.md: HUB-80
test('a device that was given both keys of the log takes no key from a hub that signs by one', async () => {
  await using classical = await HubWorld.open({ settings: { witness: { quorum: 0, roundSeconds: 1 } } });
  await allowSoftware(classical);
  await classical.publishModel('opaque', '1.0.0', 'the weights');
  const { name } = classical.hub.logKey;
  const foreign = verifierKeyOf(
    {
      name,
      signer: signerFromKey(generateKeyPairSync('ed25519').privateKey),
      postQuantum: mlDsaSigner(generateKeyPairSync('ml-dsa-44').privateKey, 'ml-dsa-44'),
    },
    'ed25519',
  );
  const logKey = encodeVerifierKey({ ...classical.hub.logKey, postQuantum: foreign.postQuantum });
  await using victim = await TestAgent.prepare(classical, 'press-9', {
    models,
    hub: {
      ...classical.hub.deviceAddress,
      serverName: 'localhost',
      caFile: 'hub-ca.pem',
      logKey,
      attestationKeyFiles: ['attestation.pem'],
    },
  });
  const story = await victim.start();
  const { reasons } = await story.next('log-refused');
  assert.match(reasons.join('; '), /no ML-DSA-44 signature/);
  assert.equal(story.has('released'), false);
});

test('the whole log verifies on the command line with both keys, and without the second signature it is refused', async () => {
  const key = encodeVerifierKey(world.hub.logKey);
  const good = await edgekeep('audit', 'verify', 'hub', '--key', key, '--operator', world.operatorFile);
  assert.equal(good.code, 0, good.stderr);
  const note = parseNote((await world.askOperator('GET', '/log/checkpoint')).body);
  const cut = encodeNote({ ...note, signatures: note.signatures.slice(0, 1) });
  assert.equal(openCheckpoint(cut, world.hub.logKey).kind, 'refused');
});

test('the hub has the same second key after a restart', async () => {
  const key = encodeVerifierKey(world.hub.logKey);
  await world.restart();
  assert.equal(encodeVerifierKey(world.hub.logKey), key);
  assert.equal((await entriesOf('log-key-added')).length, 1);
});
