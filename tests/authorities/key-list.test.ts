// The hub's signing keys are replaced under agents that are awake, restarted or asleep: none is lost, and none takes a key that its root did not
// certify (spec/key-list.md).
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hubKeysView, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { closeAll } from '../support/closing.ts';
import { HubWorld } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';
import { type Story, TestAgent } from '../support/test-agent.ts';

const askAgainSeconds = 601;
const daySeconds = 86_400;
let world: HubWorld;
let root: OfflineRoot;
let awake: TestAgent;
let asleep: TestAgent;
let story: Story;

before(async () => {
  const settings = { certificateSeconds: 200 * daySeconds, authorities: { overlapDays: 30 } };
  // TLS looks at the machine's clock: the hub's stays behind it.
  world = await HubWorld.open({ settings, aheadSeconds: -30 * daySeconds });
  root = await OfflineRoot.open(join(world.folder, 'root'), world.clock.now);
  awake = await TestAgent.prepare(world, 'awake');
  asleep = await TestAgent.prepare(world, 'asleep');
  story = await awake.start();
  await story.next('attested');
  await (await asleep.start()).next('attested');
  await asleep.stop();
});
after(() => closeAll(world, asleep, awake));

const keys = () => world.operator.get('/v1/authorities/keys', hubKeysView);
const send = <T>(path: string, body: object, schema: Parameters<typeof world.operator.send<T>>[3]) =>
  world.operator.send('POST', `/v1/authorities/keys/${path}`, body, schema);
const statuses = async (purpose: string) =>
  (await keys()).keys.filter((key) => key.purpose === purpose).map(({ status }) => status);

async function request(body: object): Promise<string> {
  return (await send('request', body, keyRequestResponse)).request;
}

async function attestsAgain(): Promise<void> {
  await awake.stop();
  story = await awake.start();
  await story.next('attested');
}

test('a new hub has a list that its root signed, and agents know it', async () => {
  const { list, keys: rows, pending } = await keys();
  assert.equal(list?.number, 1);
  assert.deepEqual(
    rows.map(({ purpose, status }) => [purpose, status]),
    [
      ['log', 'active'],
      ['backup', 'active'],
      ['attestation-result', 'active'],
    ],
  );
  assert.deepEqual(pending, []);
  assert.equal(await numberOf(awake), 1);
});

// SECURITY.md: HUB-90
test('the next attestation key is certified first, waits for who does not know it, and then signs', async () => {
  const signed = await root.signKeys(await request({ purposes: ['attestation-result'] }));
  const { keys: rows, list } = await send('list', { keyList: signed }, hubKeysView);
  assert.equal(list?.number, 2);
  assert.equal(list.devicesPending, 2);
  const next = rows.find(({ status }) => status === 'next');
  await assert.rejects(send(`${next?.id}/activate`, {}, hubKeysView), /not yet known by 2 devices/);
  world.clock.advanceSeconds(askAgainSeconds);
  assert.equal((await story.next('key-list-learned')).number, 2);
  while ((await keys()).list?.devicesPending !== 1) world.clock.advanceSeconds(askAgainSeconds);
  await send(`${next?.id}/activate`, { force: true }, hubKeysView);
  assert.deepEqual(await statuses('attestation-result'), ['previous', 'active']);
  await attestsAgain();
});

test('an agent that was off over the change learns the list before it reads a result', async () => {
  const late = await asleep.start();
  assert.equal((await late.next('key-list-learned')).number, 2);
  await late.next('attested');
  await asleep.stop();
});

// SECURITY.md: HUB-90
test('a list that is rolled back, of another root or another hub is refused by the hub and by agents', async () => {
  const first = (await readFile(join(world.folder, 'hub', 'keys', 'key-list.json'))).toString();
  await assert.rejects(send('list', { keyList: first }, hubKeysView), /rolled back/);
  const again = await request({ purposes: [] });
  const stranger = await root.successor(join(world.folder, 'stranger'));
  await assert.rejects(send('list', { keyList: await stranger.signKeys(again) }, hubKeysView), /no root .* is trusted/);
  const other = await root.signKeys(again, { hub: 'other.example/audit+00000000+AA' });
  await assert.rejects(send('list', { keyList: other }, hubKeysView), /another hub/);
  const old = await root.signKeys(again, { validUntilSeconds: Math.floor(world.clock.now() / 1_000) });
  await assert.rejects(send('list', { keyList: old }, hubKeysView), /too old/);
});

// SECURITY.md: HUB-91
test('a stolen attestation key is replaced in the request that installs the list, and its results count no more', async () => {
  const later = { purposes: ['attestation-result'], stolenAt: world.clock.now() + 3_600_000 };
  await assert.rejects(request(later), /the time of the theft is in the future/);
  const stolenAt = world.clock.now();
  const asked = await request({ purposes: ['attestation-result'], stolenAt });
  const { keys: rows, list } = await send('list', { keyList: await root.signKeys(asked) }, hubKeysView);
  assert.equal(list?.number, 3);
  const [, stolen, present] = rows.filter(({ purpose }) => purpose === 'attestation-result');
  assert.deepEqual([stolen?.status, stolen?.compromised, present?.status], ['previous', true, 'active']);
  await attestsAgain();
  assert.equal(await numberOf(awake), 3);
  const { attestationKeys } = await world.trust();
  assert.deepEqual(
    attestationKeys.map(({ compromised, untilSeconds }) => [compromised, untilSeconds !== undefined]),
    [
      [false, true],
      [true, true],
      [false, false],
    ],
  );
});

// SECURITY.md: HUB-98
test('a former key, one in its overlap, and a prepared one are declared stolen by id, and no key in use changes', async () => {
  const [, , present] = (await keys()).keys.filter(({ purpose }) => purpose === 'attestation-result');
  const first = (await keys()).keys.find(({ purpose }) => purpose === 'attestation-result');
  const prepared = await root.signKeys(await request({ purposes: ['attestation-result'] }));
  const { keys: rows } = await send('list', { keyList: prepared }, hubKeysView);
  const next = rows.find(({ status }) => status === 'next');
  assert.ok(first?.status === 'previous' && !first.compromised && next !== undefined);
  const asked = await root.signKeys(await request({ purposes: [] }));
  const stolenAt = world.clock.now();
  const theft = await request({ purposes: [], stolenKeys: [first.id, next.id], stolenAt });
  // From now on the hub does not begin to sign with it, also under a list of before.
  await assert.rejects(send(`${next.id}/activate`, { force: true }, hubKeysView), /is abandoned, expected next/);
  const { pending } = await send('list', { keyList: asked }, hubKeysView);
  assert.match(pending.join('\n'), /attestation-result key .* was stolen, and the key list does not say so/);
  await assert.rejects(send(`${next.id}/activate`, { force: true }, hubKeysView), /is abandoned, expected next/);
  // The hub remembers the theft of a key that it gave up, also in a request that does not name it.
  const again = await root.signKeys(await request({ purposes: [], stolenKeys: [first.id], stolenAt }));
  const said = await send('list', { keyList: again }, hubKeysView);
  const results = said.keys.filter(({ purpose }) => purpose === 'attestation-result');
  assert.deepEqual(
    results.map(({ status, compromised }) => [status, compromised]),
    [
      ['previous', true],
      ['previous', true],
      ['active', false],
      ['abandoned', true],
    ],
  );
  assert.equal(results[2]?.id, present?.id);
  assert.equal(results[0]?.until, Math.min(first.until ?? Infinity, Math.floor(stolenAt / 1_000)));
  // The key in use still has the end that the prepared one was for.
  assert.deepEqual(said.pending, ['the attestation-result key ends and there is no next one']);
  await assert.rejects(send('list', { keyList: await root.signKeys(theft) }, hubKeysView), /rolled back/);
  await attestsAgain();
  assert.equal(await numberOf(awake), said.list?.number);
  const { attestationKeys } = await world.trust();
  assert.deepEqual(
    attestationKeys.map(({ compromised }) => compromised),
    [true, true, false, true],
  );
});

test('a stolen key is named by its id and the time of the theft, or the request is refused', async () => {
  const nobody = { purposes: [], stolenKeys: ['0'.repeat(64)], stolenAt: world.clock.now() };
  await assert.rejects(request(nobody), /no key 0{64}/);
  const [log] = (await keys()).keys;
  await assert.rejects(request({ purposes: [], stolenKeys: [log?.id] }), /without the time of the theft/);
});

// SECURITY.md: HUB-98
test('a key in use that is declared stolen by its id is replaced in the request that installs the list', async () => {
  const active = (await keys()).keys.find((key) => key.purpose === 'attestation-result' && key.status === 'active');
  const asked = await request({ purposes: [], stolenKeys: [active?.id], stolenAt: world.clock.now() });
  const { keys: rows } = await send('list', { keyList: await root.signKeys(asked) }, hubKeysView);
  const now = rows.find((key) => key.purpose === 'attestation-result' && key.status === 'active');
  assert.notEqual(now?.id, active?.id);
  assert.deepEqual(
    rows.filter(({ id }) => id === active?.id).map(({ status, compromised }) => [status, compromised]),
    [['previous', true]],
  );
  await attestsAgain();
});

test('an agent whose file of the list was changed or is that of before goes on with the newest list that it knew', async () => {
  const { list } = await keys();
  const path = join(awake.stateFolder, 'known-keys.json');
  const first = (await readFile(join(world.folder, 'hub', 'keys', 'key-list.json'))).toString();
  for (const changed of ['{}', first]) {
    await awake.stop();
    await writeFile(path, changed);
    story = await awake.start();
    await story.next('connected');
    assert.ok(!story.has('key-list-learned'));
    await attestsAgain();
    assert.equal(await numberOf(awake), list?.number);
  }
});

async function numberOf(agent: TestAgent): Promise<number> {
  const file: { list: string } = JSON.parse((await readFile(join(agent.stateFolder, 'known-keys.json'))).toString());
  const list: { number: number } = JSON.parse(Buffer.from(file.list, 'base64url').toString());
  return list.number;
}
