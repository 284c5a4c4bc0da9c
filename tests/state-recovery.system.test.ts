// Real agents whose state folder lost files, against a real hub: one copy of each file in every way, then both, with what the hub remembers, its
// entry and its alert.
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { alertOf, alertsOf } from './support/alerts.ts';
import { closeAll } from './support/closing.ts';
import { HubWorld } from './support/hub-world.ts';
import { allowSoftware, TestAgent } from './support/test-agent.ts';
import { inStore, rowsIn } from './support/outside-store.ts';

const belt = { name: 'belt', version: '1.2.0', content: 'weights' };
const models = [{ name: belt.name, use: 'program' as const }];
/** With a second copy each. */
const keptFiles = ['checkpoint', 'versions.json', 'witness-key.pem', 'hybrid-key.json'] as const;
const spoiled = { emptied: '', zeroed: '\0'.repeat(64), garbled: 'x\u0001{', truncated: undefined } as const;
let world: HubWorld;

before(async () => {
  // Software devices count as witnesses here, and rounds are short.
  world = await HubWorld.open({ settings: { witness: { tiers: ['software'], roundSeconds: 1 } } });
  await allowSoftware(world);
  await world.publishModel(belt.name, belt.version, belt.content);
});
after(() => closeAll(world));

/** An agent that has a model and whose cosignature the hub has stored; stopped. */
async function settledAgent(id: string): Promise<TestAgent> {
  const agent = await TestAgent.prepare(world, id, { models });
  const story = await agent.start();
  await story.next('ready');
  await cosignedInStore(id);
  await agent.stop();
  return agent;
}

const witnessed = z.looseObject({ size: z.number() });

// Each turn reads the store once.
const TURNS_MAX = 20_000;

/** The report after the cosignature writes it. */
async function cosignedInStore(id: string): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    if ((await storedSize(id)) > 0) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`no cosignature of ${id} is in the store`);
}

async function storedSize(id: string): Promise<number> {
  const [row] = await rowsIn(world.place, 'select size from device_witnessed where device_id = ?', id);
  return row === undefined ? 0 : witnessed.parse(row).size;
}

async function spoil(agent: TestAgent, name: string, text: string | undefined, copies: 'one' | 'both' = 'both') {
  const path = join(agent.stateFolder, name);
  const whole = await readFile(path);
  for (const each of copies === 'one' ? [path] : [path, `${path}.copy`])
    await writeFile(each, text ?? whole.subarray(0, whole.length / 2));
}

test('a device with one spoiled copy of any file goes on as before, and repairs it', async () => {
  await using agent = await settledAgent('one-copy');
  const before = await Promise.all(keptFiles.map((name) => readFile(join(agent.stateFolder, name))));
  for (const [way, text] of Object.entries(spoiled)) {
    for (const name of keptFiles) await spoil(agent, name, text, 'one');
    const story = await agent.start();
    for (const _ of keptFiles) await story.next('state-repaired');
    await story.next('ready');
    await agent.stop();
    assert.ok(!story.has('state-lost'), way);
    const now = await Promise.all(keptFiles.map((name) => readFile(join(agent.stateFolder, name))));
    assert.deepEqual(now.slice(1), before.slice(1), way);
  }
  assert.deepEqual(await alertsOf(world, 'one-copy', 'device-state-lost'), []);
});

// SECURITY.md: DEV-96
test('a device whose record of versions is lost gets it from the hub, with an entry and an alert, before it opens a model', async () => {
  await using agent = await settledAgent('versions');
  const file = join(agent.stateFolder, 'versions.json');
  for (const lose of [() => spoil(agent, 'versions.json', ''), () => removed(file)]) {
    await lose();
    const story = await agent.start();
    const recovered = await story.next('state-recovered');
    assert.equal(recovered.models, 1);
    await story.next('ready');
    await agent.stop();
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), { [belt.name]: belt.version });
  }
  const alert = await alertOf(world, 'versions', 'device-state-lost');
  assert.equal(alert.count, 2);
  assert.deepEqual(alert.data['lost'], ['versions: damaged', 'versions: missing']);
  const entries = await entriesAbout('versions');
  assert.deepEqual(
    entries.map(({ lost }) => lost),
    [['versions: damaged'], ['versions: missing']],
  );
});

// SECURITY.md: DEV-97
test('a device whose checkpoint is lost goes on from the one that it cosigned, or from a receipt', async () => {
  await using agent = await settledAgent('checkpoint');
  const stored = await storedSize('checkpoint');
  await spoil(agent, 'checkpoint', '');
  const story = await agent.start();
  const { logSize } = await story.next('state-recovered');
  assert.ok(logSize >= stored && stored > 0);
  await story.next('ready');
  await agent.stop();
  // A hub that forgot, or says so, cannot show this device less than its own receipts do.
  await forget('checkpoint');
  await spoil(agent, 'checkpoint', '');
  const again = await agent.start();
  assert.ok((await again.next('state-recovered')).logSize > 0);
  await again.next('ready');
});

test('a device whose witness key is lost cosigns by a new one, and the line of the old one ends', async () => {
  await using agent = await settledAgent('witness');
  const old = await readFile(join(agent.stateFolder, 'witness-key.pem'));
  await spoil(agent, 'witness-key.pem', '');
  const story = await agent.start();
  await story.next('state-recovered');
  await story.next('ready');
  // The next round begins after a second.
  await world.apiToken(['audit:read']);
  world.clock.advanceSeconds(2);
  await story.next('cosigned');
  await agent.stop();
  assert.notDeepEqual(await readFile(join(agent.stateFolder, 'witness-key.pem')), old);
  const [entry] = await entriesAbout('witness');
  assert.ok(entry?.replaces !== undefined && entry.witnessKey !== undefined && entry.witnessKey !== entry.replaces);
  const { witnessPolicy } = await world.operator.get('/v1/trust', trustText);
  const ended = Object.keys(witnessPolicy.ended).filter((name) => name.startsWith('device/witness'));
  assert.deepEqual(ended, ['device/witness/key/1']);
});

test('a device that lost its whole state folder but its root of trust is restored, and the alert says so', async () => {
  await using agent = await settledAgent('whole');
  for (const name of ['enrolled.json', ...keptFiles]) await removed(join(agent.stateFolder, name));
  await rm(join(agent.stateFolder, 'receipts'), { recursive: true });
  await writeFile(
    join(agent.stateFolder, 'enrollment-token'),
    await world.enrollmentToken({ deviceId: 'whole', tier: 'software' }),
  );
  const story = await agent.start();
  assert.equal((await story.next('state-lost')).file, 'enrolled');
  const { models: count, logSize } = await story.next('state-recovered');
  assert.ok(count === 1 && logSize > 0);
  await story.next('ready');
  const alert = await alertOf(world, 'whole', 'device-state-lost');
  assert.deepEqual(alert.data['lost'], ['enrolled: missing']);
});

test('a device that enrolled and has never had a model or cosigned loses nothing', async () => {
  await using agent = await TestAgent.prepare(world, 'fresh');
  await (await agent.start()).next('enrolled');
  await agent.stop();
  for (const name of ['checkpoint', 'versions.json']) await removed(join(agent.stateFolder, name));
  await forget('fresh');
  const story = await agent.start();
  await story.next('state-recovered');
  await agent.stop();
  assert.deepEqual(await alertsOf(world, 'fresh', 'device-state-lost'), []);
  assert.deepEqual(await entriesAbout('fresh'), []);
});

const entryData = z.looseObject({
  lost: z.array(z.string()),
  witnessKey: z.string().optional(),
  replaces: z.string().optional(),
});
const trustText = z.looseObject({ witnessPolicy: z.looseObject({ ended: z.record(z.string(), z.number()) }) });

async function entriesAbout(id: string) {
  const entries = await world.entries('device-state-lost');
  return entries.filter(({ subject }) => subject === `device:${id}`).map(({ data }) => entryData.parse(data));
}

async function removed(path: string): Promise<void> {
  for (const each of [path, `${path}.copy`]) await rm(each, { force: true });
}

async function forget(id: string): Promise<void> {
  await inStore(world.place, (store) => store.run('delete from device_witnessed where device_id = ?', id));
}
