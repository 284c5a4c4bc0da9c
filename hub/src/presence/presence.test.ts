// Two hub nodes on one store: what each knows about the connections of the other.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { Duplex } from 'node:stream';
import { openAlertsOf } from '../alert/testing-alerts.ts';
import { Database } from '../store/database.ts';
import { storePlace, testEngine } from '../store/testing-place.ts';
import type { DeviceRow } from '../store/tables/registry.ts';
import type { DeviceConnection } from './connections.ts';
import { onlineAmong, presenceOf } from './read.ts';
import { type NewSession, Presence } from './presence.ts';

let folder = '';
let store: Database;
// Nodes on PostgreSQL report by its clock, which is the machine's.
let nowMs = testEngine === 'postgres' ? Date.now() : 1_000_000_000_000;
const clock = () => nowMs;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-presence-'));
  store = await Database.open(await storePlace(folder));
});
after(async () => {
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

interface Node {
  readonly database: Database;
  readonly presence: Presence;
  readonly cut: string[];
}

async function node(rule: 'keep-first' | 'hold-both' = 'keep-first'): Promise<Node> {
  const database = await Database.open(await storePlace(folder));
  const cut: string[] = [];
  const connections = { cut: (deviceId: string) => cut.push(deviceId) };
  const settings = { concurrentSessions: rule, silentSeconds: 60 };
  const presence = await Presence.start({
    database,
    connections,
    witnesses: { remove: () => undefined },
    settings,
    clock,
  });
  return { database, presence, cut };
}

/** Since the reports of all nodes. */
async function letPass(milliseconds: number): Promise<void> {
  if (testEngine === 'postgres')
    await store.write((trx) =>
      trx
        .updateTable('hub_node')
        .set((q) => ({ seen_at: q('seen_at', '-', milliseconds) }))
        .execute(),
    );
  nowMs += milliseconds;
}

async function end({ presence, database }: Node): Promise<void> {
  await presence[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
}

async function newDevice(id: string): Promise<void> {
  const row: DeviceRow = {
    id,
    tier: 'software',
    state: 'active',
    state_reason: 'a test',
    identity: '{}',
    root_sha256: id,
    witness_key: id,
    enrolled_at: nowMs,
    seen_at: nowMs,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  };
  await store.write((trx) => trx.insertInto('device').values(row).execute());
}

function connectionFrom(deviceId: string, remoteAddress: string): DeviceConnection {
  // Never connected: the test only checks whether it was destroyed.
  const socket = new TLSSocket(new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }));
  const certificate = { deviceId, serial: `of-${remoteAddress}`, sha256: '', notAfterMs: nowMs * 2 };
  const common = {
    bound: true,
    session: undefined,
    challenge: undefined,
    claimed: undefined,
    enrollment: undefined,
    imaLog: undefined,
    workload: undefined,
  };
  return { ...common, socket, exporter: new Uint8Array(), openedAtMs: 0, remoteAddress, certificate };
}

async function arrive({ database, presence }: Node, deviceId: string, address: string, tier = 'software') {
  const connection = connectionFrom(deviceId, address);
  const id = crypto.randomUUID();
  const arrival: NewSession = {
    id,
    connection,
    device: { id: deviceId, tier },
    serial: `of-${address}`,
    lineage: 0,
    nowMs,
  };
  const verdict = await database.write((trx) => presence.arrive(trx, arrival));
  presence.settle(arrival, verdict);
  return { connection, verdict: verdict.kind };
}

/** The effect of a request on the connection. */
function use({ presence }: Node, connection: DeviceConnection): void {
  const { session } = connection;
  if (session === undefined) throw new TypeError('not bound');
  session.usedAtMs = nowMs;
  if (session.conflict !== undefined && nowMs >= session.conflict.provesAtMs) presence.contested(connection);
}

async function alerts(deviceId: string, count: number): Promise<void> {
  while ((await openAlertsOf(store.read, deviceId)).length < count) await EventEmitter.once(tick(), 'next');
}

function tick(): EventEmitter {
  const emitter = new EventEmitter();
  setImmediate(() => emitter.emit('next'));
  return emitter;
}

// SECURITY.md: DEV-09
test('a newcomer on one node is weighed against a connection of another, whose node reads of it and finds the two', async () => {
  const [one, two] = [await node(), await node()];
  await newDevice('far');
  const first = await arrive(one, 'far', '10.0.0.1');
  assert.equal((await arrive(two, 'far', '10.0.0.2')).verdict, 'taken');
  assert.deepEqual([...(await onlineAmong(store.read, ['far', 'none'], nowMs))], ['far']);
  await one.presence.tick();
  nowMs += 3_000;
  use(one, first.connection);
  await alerts('far', 1);
  const { sessions, elsewhere } = await presenceOf(store.read, 'far', nowMs);
  assert.deepEqual([sessions.map(({ address }) => address), elsewhere], [['10.0.0.1'], true]);
  assert.equal((await arrive(two, 'far', '10.0.0.2', 'tpm')).verdict, 'taken', 'it is contested for everybody');
  await end(one);
  await end(two);
});

test('a silent connection of another node is cut there once its node has said how long it is silent', async () => {
  const [one, two] = [await node(), await node()];
  await newDevice('silent');
  const first = await arrive(one, 'silent', '10.0.0.1');
  nowMs += 10_000;
  assert.equal((await arrive(two, 'silent', '10.0.0.2')).verdict, 'taken');
  await one.presence.tick();
  for (let at = 0; at < 10; at += 1) {
    nowMs += 6_000;
    for (let beat = 0; beat < 5; beat += 1) await Promise.all([one.presence.tick(), two.presence.tick()]);
  }
  // The earlier report is old by now: the node is asked once more.
  await arrive(two, 'silent', '10.0.0.2');
  await one.presence.tick();
  assert.equal((await arrive(two, 'silent', '10.0.0.2')).verdict, 'replaced');
  assert.equal(first.connection.socket.destroyed, false);
  await one.presence.tick();
  assert.equal(first.connection.socket.destroyed, true);
  assert.deepEqual(await openAlertsOf(store.read, 'silent'), []);
  await end(one);
  await end(two);
});

test('a TPM let in on another node is cut there when the first goes on', async () => {
  const [one, two] = [await node(), await node()];
  await newDevice('relayed');
  const first = await arrive(one, 'relayed', '10.0.0.1', 'tpm');
  const second = await arrive(two, 'relayed', '10.0.0.2', 'tpm');
  assert.equal(second.verdict, 'moved');
  await one.presence.tick();
  nowMs += 59_000;
  use(one, first.connection);
  assert.deepEqual(await openAlertsOf(store.read, 'relayed'), []);
  nowMs += 2_000;
  use(one, first.connection);
  await alerts('relayed', 1);
  await two.presence.tick();
  assert.equal(second.connection.socket.destroyed, true);
  assert.equal(first.connection.socket.destroyed, false);
  await end(one);
  await end(two);
});

test('hold-both disables the device and cuts it', async () => {
  const one = await node('hold-both');
  await newDevice('held');
  const first = await arrive(one, 'held', '10.0.0.1');
  assert.equal((await arrive(one, 'held', '10.0.0.2')).verdict, 'taken');
  nowMs += 3_000;
  use(one, first.connection);
  await alerts('held', 1);
  const device = await store.read.selectFrom('device').selectAll().where('id', '=', 'held').executeTakeFirstOrThrow();
  assert.match(device.disabled_reason ?? '', /hold-both/);
  while (one.cut.length === 0) await EventEmitter.once(tick(), 'next');
  assert.deepEqual(one.cut, ['held']);
  await end(one);
});

test('the places of a node that ended without a word stand in nobody’s way for long, those of one that stopped not at all', async () => {
  const [dead, stopped, two] = [await node(), await node(), await node()];
  await newDevice('orphan-1');
  await newDevice('orphan-2');
  await arrive(dead, 'orphan-1', '10.0.0.1');
  await arrive(stopped, 'orphan-2', '10.0.0.1');
  await end(stopped);
  assert.equal((await arrive(two, 'orphan-2', '10.0.0.2')).verdict, 'alone');
  assert.equal((await arrive(two, 'orphan-1', '10.0.0.2')).verdict, 'taken');
  await letPass(16_000);
  for (let beat = 0; beat < 5; beat += 1) await two.presence.tick();
  assert.equal((await arrive(two, 'orphan-1', '10.0.0.2')).verdict, 'alone');
  // The other node was asleep: it finds that its rows were cleared, and reports its connections again.
  for (let beat = 0; beat < 5; beat += 1) await dead.presence.tick();
  const { sessions, elsewhere } = await presenceOf(store.read, 'orphan-1', nowMs);
  assert.deepEqual([sessions.length, elsewhere], [2, true]);
  await end(dead);
  await end(two);
});

test('the places of a node that was seen at a time that has not come stand in nobody’s way', async () => {
  const [dead, two] = [await node(), await node()];
  await newDevice('orphan-3');
  await arrive(dead, 'orphan-3', '10.0.0.1');
  const seen_at = nowMs + 3_600_000;
  const { node_id: id } = await store.read
    .selectFrom('presence')
    .select('node_id')
    .where('device_id', '=', 'orphan-3')
    .executeTakeFirstOrThrow();
  await store.write((trx) => trx.updateTable('hub_node').set({ seen_at }).where('id', '=', id).execute());
  assert.equal((await arrive(two, 'orphan-3', '10.0.0.2')).verdict, 'taken');
  for (let beat = 0; beat < 5; beat += 1) await two.presence.tick();
  assert.equal((await arrive(two, 'orphan-3', '10.0.0.2')).verdict, 'alone');
  await end(dead);
  await end(two);
});

test('a connection that ended is forgotten, and one whose bind came to nothing never was', async () => {
  const one = await node();
  await newDevice('brief');
  const { connection } = await arrive(one, 'brief', '10.0.0.1');
  connection.socket.destroy();
  while ((await presenceOf(store.read, 'brief', nowMs)).sessions.length > 0) await EventEmitter.once(tick(), 'next');
  assert.equal((await arrive(one, 'brief', '10.0.0.2')).verdict, 'alone');
  const failed = connectionFrom('brief', '10.0.0.2');
  const device = { id: 'brief', tier: 'software' };
  const arrival: NewSession = { id: 'failed', connection: failed, device, serial: 's', lineage: 0, nowMs };
  await assert.rejects(
    one.database.write(async (trx) => {
      await one.presence.arrive(trx, arrival);
      throw new Error('no');
    }),
  );
  one.presence.withdraw(arrival);
  assert.equal(failed.session, undefined);
  assert.equal((await presenceOf(store.read, 'brief', nowMs)).sessions.length, 1);
  await end(one);
});
