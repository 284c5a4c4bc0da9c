// Two nodes over one PostgreSQL database serve one fleet as one hub: what a device and a person do at either.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { parseNote } from '@edgekeep/core/audit/note';
import { approveResponse } from '@edgekeep/wire/api/approval';
import { checkpointResponse } from '@edgekeep/wire/api/audit';
import { policyView } from '@edgekeep/wire/api/policy';
import { revocationResponse } from '@edgekeep/wire/api/revocation';
import { alertOf, alertsOf } from '../support/alerts.ts';
import { accepted, assertRefused } from '../support/answer.ts';
import { DeviceLink } from '../support/device-link.ts';
import { newPublisher, publicPem } from '../support/hub-world.ts';
import { addPerson, firstPerson, TestPerson } from '../support/people.ts';
import { policyForAnyTier } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { leads, nodesTest, TwoNodes, until } from '../support/two-nodes.ts';

let nodes: TwoNodes;
const opened = new AsyncDisposableStack();
before(async () => {
  if (nodesTest.skip !== false) return;
  nodes = opened.use(await TwoNodes.open({ settings: { lease: { maxPerWindow: 6, windowSeconds: 600 } } }));
  const { a } = nodes;
  await a.operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
  await a.publishModel('belt', '1.0.0', 'weights');
});
after(() => opened.disposeAsync());

async function newDevice(id: string, at = nodes.a): Promise<TestDevice> {
  const device = opened.use(await TestDevice.withoutTpm(id, join(at.folder, id)));
  await device.enroll(at);
  return device;
}

async function checkpointFor(link: DeviceLink, from: number) {
  const answer = accepted(await link.ask('GET', `/v1/checkpoint?from=${from}`), checkpointResponse);
  return { ...answer, size: parseCheckpoint(parseNote(Buffer.from(answer.checkpoint)).text).size };
}

test('a device enrolls at one node, connects to the other, and gets keys from both', nodesTest, async () => {
  const { a, b } = nodes;
  for (const [id, first, second] of [
    ['press-1', a, b],
    ['press-2', b, a],
  ] as const) {
    const device = await newDevice(id, first);
    await using there = await device.connect(second.hub);
    await device.releaseBound(there, 'belt', '1.0.0');
    await using here = await device.connect(first.hub);
    await device.releaseBound(here, 'belt', '1.0.0');
  }
  const subjects = (await b.entries('key-released')).map(({ subject }) => subject);
  assert.deepEqual(subjects.toSorted(), ['device:press-1', 'device:press-1', 'device:press-2', 'device:press-2']);
});

test(
  'a quarantine at one node closes the connection at the other, and no node gives a key after it',
  nodesTest,
  async () => {
    const { a, b } = nodes;
    const device = await newDevice('press-3');
    await using link = await device.connect(b.hub);
    await device.releaseBound(link, 'belt', '1.0.0');
    await a.setState('press-3', 'quarantine');
    await link.closed;
    assert.equal(link.connected, false);
    await assert.rejects(device.connect(b.hub));
  },
);

test('a certificate that is revoked at one node opens nothing at the other', nodesTest, async () => {
  const { a, b } = nodes;
  const device = await newDevice('press-4');
  await using link = await device.connect(b.hub);
  const order = { devices: ['press-4'], reason: 'keyCompromise', note: 'a test' };
  await a.operator.send('POST', '/v1/certificates/revoke', order, revocationResponse);
  await link.closed;
  await assert.rejects(device.connect(b.hub));
});

// SECURITY.md: HUB-134
test('a device that saw the larger tree of one node gets no smaller one from the other', nodesTest, async () => {
  const { a, b } = nodes;
  const device = await newDevice('press-5');
  await using atA = await device.connect(a.hub);
  await using atB = await device.connect(b.hub);
  let seen = 0;
  for (let turn = 0; turn < 6; turn += 1) {
    await a.apiToken(['audit:read']);
    await a.integrated();
    for (const link of turn % 2 === 0 ? [atA, atB] : [atB, atA]) {
      const { size } = await checkpointFor(link, seen);
      assert.ok(size >= seen, `${size} entries after ${seen}`);
      seen = size;
    }
  }
});

test('both nodes publish the same checkpoint', nodesTest, async () => {
  const { a, b } = nodes;
  const published = async ({ hubFolder }: typeof a) => readFile(join(hubFolder, 'log', 'checkpoint'), 'utf8');
  const headOf = (note: string) => parseNote(Buffer.from(note)).text;
  await a.apiToken(['audit:read']);
  await until(
    async () => [headOf(await published(a)), headOf(await published(b))],
    ([ofA, ofB]) => ofA === ofB,
  );
  await a.integrated();
  await b.integrated();
});

test('a root operation that a person asks for at one node is approved at the other', nodesTest, async () => {
  const { a, b } = nodes;
  const ada = await firstPerson(a);
  const ben = await addPerson(a, 'ben');
  const asked = await ada.waits('POST', '/v1/publishers', { name: 'another', publicKey: publicPem(newPublisher()) });
  const { state, status } = accepted(await new TestPerson(b, ben.name, ben.token).approve(asked), approveResponse);
  assert.deepEqual([state, status], ['executed', 200]);
  assert.equal((await a.entries('publisher-trusted')).at(-1)?.actor, 'person:admin with person:ben');
  // Once.
  assertRefused(await ben.approve(asked), { status: 409, code: 'conflict' });
});

test('the budget of keys holds for both nodes together, to the last one', nodesTest, async () => {
  const { a, b } = nodes;
  const device = await newDevice('press-6');
  const answers = await Promise.all(
    [a, b].map(async ({ hub }) => {
      await using link = await device.connect(hub);
      const statuses: number[] = [];
      for (let at = 0; at < 6; at += 1) statuses.push((await device.askForKey(link, 'belt', '1.0.0')).status);
      return statuses;
    }),
  );
  // Six, and one for a renewal.
  assert.deepEqual(
    answers.flat().toSorted((x, y) => x - y),
    [...Array.from({ length: 7 }, () => 200), ...Array.from({ length: 5 }, () => 429)],
  );
});

// SECURITY.md: HUB-135
test('a copy of an identity that comes to the other node is seen beside the first', nodesTest, async () => {
  const { a, b } = nodes;
  const device = await newDevice('press-7');
  await using first = await device.connect(a.hub, '127.0.0.1');
  await using copy = await DeviceLink.open(b.hub, device.credential, '127.0.0.2');
  assertRefused(await device.bind(copy), { status: 409, code: 'identity-in-use' });
  // The first goes on, which shows that there are two.
  const [alert] = await until(
    async () => {
      await checkpointFor(first, 0);
      return alertsOf(b, 'press-7', 'identity-in-two-places');
    },
    (alerts) => alerts.length > 0,
  );
  assert.deepEqual([alert?.data['first'], alert?.data['second']], ['127.0.0.1', '127.0.0.2']);
});

// SECURITY.md: HUB-135
test('a stolen key that is tried at both nodes is one alert, which counts all of it', nodesTest, async () => {
  const { a, b } = nodes;
  const [device, thief] = [await newDevice('press-8'), await newDevice('thief-8')];
  await using genuine = await device.connect(a.hub);
  for (const { hub } of [a, b, b, a]) {
    await using stolen = await DeviceLink.open(hub, device.credential, '127.0.0.2');
    assertRefused(await thief.bind(stolen), { status: 403, code: 'bind-refused' });
  }
  const { count } = await alertOf(a, 'press-8', 'clone', (alert) => alert.count === 4);
  assert.equal(count, 4);
  assert.ok(genuine.connected);
});

test(
  'what both nodes wrote about the state of the store is one chain, and the rows are what it says',
  nodesTest,
  async () => {
    const { a, b } = nodes;
    assert.deepEqual([await leads(a), await leads(b)], [true, false]);
    await a.hub.checkState();
    const ended = Promise.race([a.hub.refused, b.hub.refused, Promise.resolve('both run')]);
    assert.equal(await ended, 'both run');
  },
);

test('one node leads, and the other does when it ends', nodesTest, async () => {
  await using two = await TwoNodes.open();
  const { a, b } = two;
  assert.deepEqual([await leads(a), await leads(b)], [true, false]);
  await a.stop();
  await until(
    () => leads(b),
    (is) => is,
  );
  await a.start();
  assert.deepEqual([await leads(a), await leads(b)], [false, true]);
});
