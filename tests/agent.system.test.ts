// The agent against a real hub: from the first enrollment to the last wiped byte.
import assert from 'node:assert/strict';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { Agent as HttpAgent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { parseSoftwareStatement } from '@edgekeep/core/attest/evidence';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { parseForkProof, verifyForkProof } from '@edgekeep/core/audit/fork-proof';
import { parseBase64url } from '@edgekeep/core/bytes';
import { auditList } from '@edgekeep/wire/api/audit';
import { attributesView } from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { alertsOf } from './support/alerts.ts';
import { freePort } from './support/free-port.ts';
import { HubWorld, newPublisher, publicPem } from './support/hub-world.ts';
import { allowSoftware, TestAgent } from './support/test-agent.ts';
import { copyHub, exchangeHub } from './support/world-copy.ts';

const content = 'the weights that nobody is to find on a disk';
const leaseSeconds = 30;
let world: HubWorld;

before(async () => {
  world = await HubWorld.open({ settings: { leaseSeconds, witness: { quorum: 1, roundSeconds: 1 } } });
  await allowSoftware(world);
  await world.publishModel('opaque', '1.0.0', content);
});
after(() => world?.[Symbol.asyncDispose]());

const models = [{ name: 'opaque', use: 'program' as const }];

interface Reply {
  readonly status: number;
  readonly body: Buffer;
  /** Settles when the connection ends. */
  readonly closed: Promise<void>;
}

/** One GET on a Unix socket, on a connection that stays open until `agent` is destroyed. */
async function get(socketPath: string, path: string, agent = new HttpAgent({ keepAlive: true })): Promise<Reply> {
  const closed = Promise.withResolvers<void>();
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ socketPath, path, agent }, resolve);
    sent.once('socket', (socket) => socket.once('close', () => closed.resolve()));
    sent.once('error', reject);
    sent.end();
  });
  return { status: response.statusCode ?? 0, body: await buffer(response), closed: closed.promise };
}

const admin = (device: TestAgent) => join(device.stateFolder, 'run', 'admin.sock');
const local = (device: TestAgent) => join(device.stateFolder, 'run', 'agent.sock');
const weights = '/models/opaque/files/weights.bin';

/** Every byte of every file below a folder. */
async function bytesBelow(folder: string): Promise<Buffer> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Buffer.concat(await Promise.all(files.map((file) => readFile(file))));
}

// SECURITY.md: DEV-30
test('a device enrolls, attests, gets its key, and the plaintext is in memory only', async () => {
  await using device = await TestAgent.prepare(world, 'press-1', { models });
  const story = await device.start();
  await story.next('enrolled');
  assert.equal((await story.next('attested')).tier, 'software');
  const { lease } = await story.next('released');
  await story.next('ready');
  const { status, body } = await get(admin(device), weights);
  assert.deepEqual([status, body.toString()], [200, content]);

  const onDisk = await bytesBelow(device.stateFolder);
  assert(!onDisk.includes(content));
  assert(!onDisk.includes(content.slice(0, 16)));
  assert(!(await readdir(device.stateFolder)).includes('enrollment-token'));
  assert.equal((await stat(device.stateFolder)).mode & 0o777, 0o700);
  assert.equal((await stat(admin(device))).mode & 0o777, 0o600);
  const receipt: unknown = JSON.parse((await get(local(device), '/receipts/opaque')).body.toString());
  assert.match(JSON.stringify(receipt), /edgekeep-release-receipt/);
  assert.equal(device.agent.status().models[0]?.lease?.id, lease);
});

test('a restarted agent comes back by its root of trust, without a token', async () => {
  await using device = await TestAgent.prepare(world, 'press-2', { models });
  await (await device.start()).next('ready');
  await device.stop();
  const story = await device.start();
  await story.next('recovered');
  await story.next('ready');
  assert(!story.has('enrolled'));
  assert.deepEqual(await alertsOf(world, 'press-2'), []);
});

// SECURITY.md: HUB-59
test('quarantine locks the model, ends the program, and release brings it back', async () => {
  await using device = await TestAgent.prepare(world, 'press-3', { models });
  const story = await device.start();
  await story.next('ready');
  const { closed } = await get(admin(device), weights);
  await world.setState('press-3', 'quarantine');
  await story.next('locked');
  await closed;
  assert.equal((await get(admin(device), weights)).status, 503);
  assert.equal(device.agent.status().state, 'quarantined');
  await world.setState('press-3', 'release');
  await story.next('ready');
  assert.equal((await get(admin(device), weights)).status, 200);
});

test('a second agent on one state folder is refused with the process that has it, and the first goes on', async () => {
  await using device = await TestAgent.prepare(world, 'press-15', { models });
  await (await device.start()).next('ready');
  const second = TestAgent.onState(world, 'press-15', device.stateFolder, { models });
  const message = new RegExp(`process ${process.pid}, `);
  await assert.rejects(second.start(), { code: 'state-in-use', message });
  assert.equal((await get(admin(device), weights)).status, 200);
  assert.deepEqual(await alertsOf(world, 'press-15'), []);
});

test('a quarantined device is refused when it comes back from a restart, and released later', async () => {
  await using device = await TestAgent.prepare(world, 'press-4', { models });
  await (await device.start()).next('ready');
  await device.stop();
  await world.setState('press-4', 'quarantine');
  const story = await device.start();
  assert.equal((await story.next('refused')).code, 'device-quarantined');
  await world.setState('press-4', 'release');
  await story.next('recovered');
  await story.next('ready');
});

// SECURITY.md: DEV-12
test('another root of trust cannot come back under the name of an enrolled device', async () => {
  await using device = await TestAgent.prepare(world, 'press-14', { models });
  await (await device.start()).next('ready');
  await device.stop();
  await rm(join(device.stateFolder, 'root-of-trust'), { recursive: true });
  const story = await device.start();
  const { step, code, reasons } = await story.next('refused');
  assert.deepEqual([step, code, reasons[0]?.code], ['certificate', 'renewal-refused', 'signature-invalid']);
  assert(!story.has('recovered'));
});

// SECURITY.md: DEV-31, DEV-34
test('a lease is renewed at two thirds, and when the hub is gone the model is locked at its end', async () => {
  await using device = await TestAgent.prepare(world, 'press-5', { models });
  const story = await device.start();
  const { lease } = await story.next('released');
  await story.next('ready');
  world.clock.advanceSeconds((leaseSeconds * 2) / 3 + 1);
  assert.notEqual((await story.next('lease-renewed')).lease, lease);
  assert(!story.has('locked'));
  await world.stop();
  try {
    await story.next('disconnected');
    // A device that only lost its hub keeps its key.
    assert.equal((await get(admin(device), weights)).status, 200);
    world.clock.advanceSeconds(leaseSeconds);
    assert.match((await story.next('locked')).why, /lease ended/);
    assert.equal((await get(admin(device), weights)).status, 503);
  } finally {
    await world.start();
  }
});

// SECURITY.md: DEV-24
test('a new version is swapped in, and the old one is never taken again', async () => {
  await world.publishModel('swapped', '1.0.0', 'one');
  await using device = await TestAgent.prepare(world, 'press-6', { models: [{ name: 'swapped', use: 'program' }] });
  const story = await device.start();
  assert.equal((await story.next('ready')).version, '1.0.0');
  await world.publishModel('swapped', '1.1.0', 'two');
  assert.equal((await story.next('ready')).version, '1.1.0');
  assert.equal((await get(admin(device), '/models/swapped/files/weights.bin')).body.toString(), 'two');
  await device.stop();
  assert.equal((await readdir(join(device.stateFolder, 'models', 'swapped'))).length, 1);
  // As if this device had served a version that the hub no longer knows.
  await writeFile(join(device.stateFolder, 'versions.json'), '{"swapped":"2.0.0"}');
  const again = await device.start();
  assert.equal((await again.next('model-refused')).code, 'model-rollback');
  assert.equal((await get(admin(device), '/models/swapped/files/weights.bin')).status, 503);
});

// SECURITY.md: HUB-27
test('a model of a publisher whom only the hub trusts is not run', async () => {
  await using device = await TestAgent.prepare(world, 'press-7', { models });
  await writeFile(join(device.stateFolder, 'publisher.pem'), publicPem(newPublisher()));
  const story = await device.start();
  assert.equal((await story.next('model-refused')).code, 'model-refused');
  assert(!story.has('released'));
});

// SECURITY.md: DEV-22
test('a sealed file that was changed on disk does not open, is fetched anew, and then does', async () => {
  await using device = await TestAgent.prepare(world, 'press-8', { models });
  await (await device.start()).next('ready');
  await device.stop();
  const folder = join(device.stateFolder, 'models', 'opaque');
  const [digest = ''] = await readdir(folder);
  const [name = ''] = await readdir(join(folder, digest));
  const sealed = await readFile(join(folder, digest, name));
  sealed[sealed.length - 20] = (sealed[sealed.length - 20] ?? 0) ^ 1;
  await writeFile(join(folder, digest, name), sealed);
  const story = await device.start();
  assert.equal((await story.next('model-refused')).code, 'model-damaged');
  await story.next('downloaded');
  await story.next('ready');
});

test('a download that was cut short is resumed where it stopped', async () => {
  await using device = await TestAgent.prepare(world, 'press-9', { models });
  await (await device.start()).next('ready');
  await device.stop();
  const folder = join(device.stateFolder, 'models', 'opaque');
  const [digest = ''] = await readdir(folder);
  const [name = ''] = await readdir(join(folder, digest));
  const path = join(folder, digest, name);
  const sealed = await readFile(path);
  await writeFile(path, sealed.subarray(0, 30));
  await rename(path, `${path}.part`);
  const story = await device.start();
  assert.equal((await story.next('downloaded')).bytes, sealed.length - 30);
  await story.next('ready');
});

test('the local quote answers the nonce for the purpose "local" and no other', async () => {
  await using device = await TestAgent.prepare(world, 'press-10');
  await (await device.start()).next('attested');
  const nonce = Buffer.alloc(32, 7);
  const { status, body } = await get(local(device), `/attest?nonce=${nonce.toString('hex')}`);
  assert.equal(status, 200);
  const answer = z
    .object({
      evidence: z.looseObject({ statement: z.string() }),
      attestationResult: z.string(),
      // Null where no guard runs, else the names of the walls that this machine lacks.
      missingGuardWalls: z.array(z.string()).nullable(),
    })
    .parse(JSON.parse(body.toString()));
  const statement = parseSoftwareStatement(parseBase64url(answer.evidence.statement, 'statement'));
  assert.deepEqual(
    Buffer.from(statement.qualifyingData),
    Buffer.from(qualifyingData('local', nonce, new Uint8Array(0))),
  );
  for (const wrong of [
    '',
    '?nonce=00',
    `?nonce=${'0'.repeat(66)}`,
    `?nonce=${'0'.repeat(64)}&nonce=${'0'.repeat(64)}`,
  ]) {
    assert.equal((await get(local(device), `/attest${wrong}`)).status, 400, wrong);
  }
});

test('the operational certificate is renewed ahead of time, without a gap', async () => {
  await using short = await HubWorld.open({ settings: { certificateSeconds: 60, leaseSeconds: 3_600 } });
  await allowSoftware(short);
  await short.publishModel('opaque', '1.0.0', content);
  await using device = await TestAgent.prepare(short, 'press-11', { models });
  const story = await device.start();
  await story.next('ready');
  const before = device.agent.status().certificateNotAfter ?? 0;
  short.clock.advanceSeconds(45);
  const { notAfter } = await story.next('certificate-renewed');
  assert(notAfter > before);
  await story.next('cosigned');
  assert(!story.has('disconnected'));
  assert.equal(device.agent.status().state, 'online');
  assert.deepEqual(await alertsOf(short, 'press-11'), []);
});

test('operators see what the device says of itself, programs on it see what operators want, also after a restart', async () => {
  await using device = await TestAgent.prepare(world, 'press-24');
  let story = await device.start();
  await story.next('cosigned');
  const wanted = { attributes: { threshold: 0.8, camera: { fps: 25 } }, replaces: 0 };
  await world.operator.send('PUT', '/v1/devices/press-24/desired', wanted, attributesView);
  assert.equal((await story.next('desired-changed')).version, 1);
  const { desired, reported } = await world.operator.get('/v1/devices/press-24/attributes', attributesView);
  assert.deepEqual(reported.attributes['rootOfTrust'], { kind: 'software' });
  assert.deepEqual(JSON.parse((await get(local(device), '/desired')).body.toString()), {
    version: 1,
    attributes: desired.attributes,
  });
  await device.stop();
  story = await device.start();
  await story.next('cosigned');
  assert.equal(JSON.parse((await get(local(device), '/desired')).body.toString()).version, 1);
  assert.equal((await get(local(device), '/desired/threshold')).status, 404);
});

test('a device that vouches cosigns what the hub then shows as witnessed', async () => {
  await using device = await TestAgent.prepare(world, 'press-12');
  const story = await device.start();
  const { size } = await story.next('cosigned');
  assert(size > 0);
  assert.equal(device.agent.status().log.continues, true);
  await device.stop();
  // Its cosigned state survives.
  assert.match(await readFile(join(device.stateFolder, 'checkpoint'), 'utf8'), /^edgekeep\.test\/log\n/);
});

// SECURITY.md: HUB-26
test('a hub that was set back and went on differently is caught, refused and reported', async () => {
  // The same port at every start, as a real hub has.
  const port = await freePort();
  await using forked = await HubWorld.open({ settings: { device: { port } } });
  await allowSoftware(forked);
  await forked.publishModel('opaque', '1.0.0', content);
  await using device = await TestAgent.prepare(forked, 'press-13', { models });
  const story = await device.start();
  await story.next('ready');
  const { entries } = await forked.operator.get('/v1/audit?from=0&limit=1000', auditList);
  await forked.stop();
  const backup = join(forked.folder, 'backup');
  await copyHub(forked, backup);
  await forked.start();
  await story.next('connected');
  for (let count = 0; count < 4; count += 1) await forked.enrollmentToken();
  // The device must have seen more than the backup contains.
  let { size: seen } = await story.next('cosigned');
  while (seen < entries.length + 4) ({ size: seen } = await story.next('cosigned'));
  // A consistency proof from 2^n entries begins with the root that the device knows itself, and so proves no fork.
  while (Number.isInteger(Math.log2(seen))) {
    await forked.enrollmentToken();
    ({ size: seen } = await story.next('cosigned'));
  }

  await forked.stop();
  await exchangeHub(forked, backup);
  await forked.start();
  await story.next('log-refused');
  assert(device.agent.status().log.size >= seen);
  assert(!story.has('fork-detected'), 'a shorter log alone proves no fork');
  for (let count = 0; count < 20 && !story.has('fork-detected'); count += 1) await forked.enrollmentToken();
  await story.next('fork-detected');
  await story.next('locked');
  assert.equal(device.agent.status().state, 'forked');
  const proof = parseForkProof(await readFile(join(device.stateFolder, 'fork-proof.json')));
  assert.equal(verifyForkProof(proof, forked.hub.logKey).kind, 'proven');
  await device.stop();
  assert.equal((await forked.entries('fork-reported')).length, 1);

  const again = await device.start();
  await again.next('fork-detected');
  assert(!again.has('connected'));
  assert.equal(device.agent.status().connected, false);
});
