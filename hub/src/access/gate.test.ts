// Where the policy is asked: what passes, what is refused, and what of it is remembered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyAttestedTpmPolicyText } from '@edgekeep/core/policy/built-in';
import { giveToken } from '../people/testing-people.ts';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { auditEntries, openTestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { AccessGate, type DeviceAsk } from './gate.ts';
import { by, connectionOf, nowMs, openGateParts } from './testing-release.ts';

const forbid = (action: string, when: string) => `${everyAttestedTpmPolicyText}
@id("forbidden")
forbid (principal, action == Edgekeep::Action::"${action}", resource) when { ${when} };
`;

async function openGate(policy?: string) {
  const store = await openTestStore();
  await addDevices(store.database, deviceRow('press-1'), deviceRow('press-2'));
  const parts = await openGateParts(store.database);
  if (policy !== undefined) await parts.policies.apply({ text: policy, ...by });
  const gate = new AccessGate(parts);
  const connection = connectionOf('press-1');
  return {
    ...parts,
    gate,
    connection,
    ask: (change: Partial<DeviceAsk> = {}) =>
      gate.admit({ action: 'connect', deviceId: 'press-1', connection, nowMs, ...change }),
    async [Symbol.asyncDispose]() {
      await parts.decisions[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
type Gate = Awaited<ReturnType<typeof openGate>>;

const refusals = async ({ database }: Gate) =>
  (await auditEntries(database)).filter(({ kind }) => kind === 'access-refused').length;
/** Adds a connection of press-1 that is bound. */
function bind({ connections }: Gate, remoteAddress: string) {
  const { socket, exporter, certificate } = connectionOf('press-1');
  Object.defineProperty(socket, 'remoteAddress', { value: remoteAddress });
  const live = connections.add(socket, { exporter, nowMs: 0 }, { certificate, workload: undefined });
  connections.bind(live);
  return live;
}

/** A bound connection of press-1, as a node says it. */
async function place({ database }: Gate, id: string, address: string): Promise<void> {
  const row = {
    id,
    node_id: 'node',
    device_id: 'press-1',
    address,
    serial: '01',
    lineage: 0,
    bound_at: nowMs,
    used_at: nowMs,
    told_at: nowMs,
    asked: 0,
    rival_address: null,
    rival_serial: null,
    rival_id: null,
    contested: 0,
    ends: 0,
  } as const;
  await database.write(async (trx) => {
    const node = { id: 'node', seen_at: nowMs };
    await trx
      .insertInto('hub_node')
      .values(node)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await trx.insertInto('presence').values(row).execute();
  });
}

test('what no policy forbids passes, and what one forbids is refused, logged and remembered as refused', async () => {
  await using gate = await openGate(forbid('connect', 'principal == Edgekeep::Device::"press-1"'));
  await gate.ask({ deviceId: 'press-2', connection: connectionOf('press-2') });
  for (let times = 0; times < 3; times += 1) assert.match(await refusalOf(gate.ask()), /^access-refused/);
  await gate.ask({ action: 'attest' });
  assert.equal(await refusals(gate), 1);
  assert.equal(
    await gate.gate.permits({ action: 'connect', deviceId: 'press-1', connection: gate.connection, nowMs }),
    false,
  );
});

test('a policy that looks at nothing is asked again for every connection, and a refusal stays one', async () => {
  await using gate = await openGate(forbid('connect', 'true'));
  for (const connection of [gate.connection, gate.connection, connectionOf('press-1')])
    assert.match(await refusalOf(gate.ask({ connection })), /^access-refused/);
});

test('another policy is asked about what was permitted before', async () => {
  await using gate = await openGate();
  await gate.ask();
  await gate.ask();
  await gate.policies.apply({ text: forbid('connect', 'true'), ...by });
  assert.match(await refusalOf(gate.ask()), /^access-refused/);
  await gate.policies.apply({ text: everyAttestedTpmPolicyText, ...by });
  await gate.ask();
});

test('facts are read at each question: a device whose state changed is asked about as it is now', async () => {
  await using gate = await openGate(forbid('connect', 'principal.state == "suspect"'));
  await gate.ask();
  await gate.database.write((trx) =>
    trx.updateTable('device').set({ state: 'suspect' }).where('id', '=', 'press-1').execute(),
  );
  assert.match(await refusalOf(gate.ask()), /^access-refused/);
});

test('a policy sees that an identity is in use elsewhere, on every node: at another address, or contested', async () => {
  await using gate = await openGate(forbid('connect', 'context.presence.elsewhere'));
  await gate.ask();
  await place(gate, 'a', '192.0.2.1');
  await gate.ask();
  await place(gate, 'b', '198.51.100.1');
  assert.match(await refusalOf(gate.ask()), /^access-refused/);
  await gate.database.write((trx) => trx.deleteFrom('presence').where('id', '=', 'b').execute());
  await gate.ask();
  await gate.database.write((trx) => trx.updateTable('presence').set({ contested: 1 }).execute());
  assert.match(await refusalOf(gate.ask()), /^access-refused/);
});

test('of many live connections those are closed whose identity is in use elsewhere, where the policy forbids that', async () => {
  for (const second of ['198.51.100.1', '192.0.2.1']) {
    await using gate = await openGate(forbid('connect', 'context.presence.elsewhere'));
    const live = [bind(gate, '192.0.2.1'), bind(gate, second)];
    await place(gate, 'a', '192.0.2.1');
    await place(gate, 'b', second);
    const isElsewhere = second !== '192.0.2.1';
    assert.equal(await gate.gate.recheck(nowMs), isElsewhere ? 2 : 0);
    for (const { bound } of live) assert.equal(bound, !isElsewhere);
  }
});

test('a bound connection that is permitted no longer is unbound, and one that nobody looks at again is found', async () => {
  await using gate = await openGate();
  const live = bind(gate, '192.0.2.1');
  await gate.gate.stayed(live, nowMs);
  assert.equal(live.bound, true);
  await gate.policies.apply({ text: forbid('connect', 'principal == Edgekeep::Device::"press-1"'), ...by });
  assert.match(await refusalOf(gate.gate.stayed(live, nowMs)), /^access-refused/);
  assert.equal(live.bound, false);
  gate.connections.bind(live);
  assert.equal(await gate.gate.recheck(nowMs), 1);
  assert.deepEqual([live.bound, live.socket.destroyed], [false, true]);
});

test('a device that is gone is not let in', async () => {
  await using gate = await openGate();
  assert.equal(await refusalOf(gate.ask({ deviceId: 'press-9' })), 'not-found');
});

test('a policy narrows what operators may do, reading included', async () => {
  await using gate = await openGate(forbid('administer', 'principal == Edgekeep::Token::"person:bob/desk"'));
  const ada = await giveToken(gate.database, { person: 'ada', roles: ['administrator'] });
  const bob = await giveToken(gate.database, { person: 'bob', roles: ['administrator'] });
  for (const changes of [true, false]) {
    const request = { address: '192.0.2.1', scope: 'admin', changes, nowMs };
    await gate.gate.administer(ada, request);
    assert.match(await refusalOf(gate.gate.administer(bob, request)), /^access-refused/);
  }
});

test('one cause is logged once in ten minutes, and a clock that was set back keeps nothing quiet', async () => {
  await using gate = await openGate(forbid('connect', 'true'));
  for (const offset of [0, 1, 599_999]) await refusalOf(gate.ask({ nowMs: nowMs + offset }));
  assert.equal(await refusals(gate), 1);
  await refusalOf(gate.ask({ nowMs: nowMs + 600_000 }));
  await refusalOf(gate.ask({ nowMs: nowMs - 600_000 }));
  assert.equal(await refusals(gate), 3);
});
