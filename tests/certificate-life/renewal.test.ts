// The life of an operational certificate as a device sees it: renewed under load, and recovered after a long absence.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Prover } from '@edgekeep/agent/attest/attest';
import { HubLink } from '@edgekeep/agent/hub/connection';
import {
  enroll,
  type HubChannel,
  type Identity,
  type IdentityDependencies,
  recover,
  renew,
} from '@edgekeep/agent/hub/identity';
import { HubTime } from '@edgekeep/agent/hub/hub-time';
import { SoftwareRootOfTrust } from '@edgekeep/hardware/software/software-root-of-trust';
import { HubConnection } from '@edgekeep/wire/link/hub-connection';
import { healthyBoot, logOf, measure } from '../support/boot.ts';
import { assertRefused } from '../support/answer.ts';
import { DeviceLink } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { TestDevice, testOrigin } from '../support/test-device.ts';

const monthsSeconds = 200 * 86_400;
const witnessKey = async (id: string) =>
  (await TestDevice.withoutTpm(id, join(world.folder, `witness-${id}`))).witnessKey;

let world: HubWorld;
before(async () => {
  world = await HubWorld.open({ settings: { certificateSeconds: 60 } });
});
after(() => world?.[Symbol.asyncDispose]());

/** What an agent has before it first connects to its hub. */
async function newDevice(deviceId: string): Promise<IdentityDependencies> {
  const stateFolder = join(world.folder, deviceId);
  const rootOfTrust = await SoftwareRootOfTrust.open({ stateFolder, bootId: crypto.randomUUID() });
  await measure(rootOfTrust, healthyBoot);
  const prover = new Prover({ rootOfTrust, eventLog: () => logOf(healthyBoot), imaLogFile: undefined });
  // Time passes for the device as the hub's clock is moved.
  const clocks = { clock: world.clock.now, elapsed: world.clock.now };
  return { deviceId, hub: testOrigin, rootOfTrust, prover, clocks, hubTime: new HubTime(clocks) };
}

/** On a separate connection, without a certificate. */
async function once<T>(act: (channel: HubChannel) => Promise<T>): Promise<T> {
  const { deviceAddress, rootPem } = world.hub;
  const where = { ...deviceAddress, serverName: 'localhost', authoritiesPem: [rootPem] };
  await using connection = await HubConnection.open(where);
  return await act({ send: (input) => connection.request(input), exporter: connection.binding });
}

async function enrolled(dependencies: IdentityDependencies): Promise<Identity> {
  const token = await world.enrollmentToken({ deviceId: dependencies.deviceId });
  const order = { token, witnessKey: await witnessKey(dependencies.deviceId) };
  const answer = await once((channel) => enroll(channel, dependencies, order));
  assert.equal(answer.kind, 'ok');
  return answer.value;
}

function linkOf(
  dependencies: IdentityDependencies,
  own: Pick<ConstructorParameters<typeof HubLink>[0], 'acquire' | 'onRenewed' | 'onConnected'>,
) {
  const { deviceAddress, rootPem } = world.hub;
  return new HubLink({
    hub: { ...deviceAddress, serverName: 'localhost' },
    authorities: () => [rootPem],
    generalAuthority: () => 'accepted',
    prover: dependencies.prover,
    renew: (send) => renew(send, dependencies),
    onDisconnected: (why) => assert.fail(why),
    onRefused: (step, refusal) => assert.fail(`${step}: ${refusal.message}`),
    onFailed: (error) => assert.fail(String(error)),
    backoff: { firstDelayMs: 10, maxDelayMs: 100 },
    clocks: dependencies.clocks,
    hubTime: dependencies.hubTime,
    random: () => 0,
    ...own,
  });
}

/** Requests the hub has answered on its device listener. */
async function requestsSoFar(): Promise<number> {
  const text = Buffer.from(await world.operator.getBytes('/metrics')).toString();
  const counts = text.matchAll(/^edgekeep_request_seconds_count\{listener="device".*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

test('no request is lost while the certificate is renewed again and again under load', async () => {
  const dependencies = await newDevice('busy');
  const identity = await enrolled(dependencies);
  const renewals = 3;
  let renewed = Promise.withResolvers<void>();
  const connected = Promise.withResolvers<void>();
  await using link = linkOf(dependencies, {
    acquire: async () => ({ kind: 'ok', value: identity }),
    onConnected: () => connected.resolve(),
    onRenewed: () => renewed.resolve(),
  });
  await connected.promise;
  const bindings = new Set<string>();
  const answered = Array.from({ length: 4 }, () => 0);
  const stop = new AbortController();
  const load = answered.map(async (_, worker) => {
    while (!stop.signal.aborted) {
      const { status } = await link.send({ method: 'GET', path: '/v1/checkpoint?from=0' });
      assert.equal(status, 200);
      const answer = await link.withChallenge(async ({ exporter }) => ({ kind: 'ok', value: exporter }));
      assert.equal(answer.kind, 'ok');
      bindings.add(Buffer.from(answer.value).toString('hex'));
      answered[worker] = (answered[worker] ?? 0) + 1;
    }
  });
  const ended = Promise.all(load);
  for (let renewal = 0; renewal < renewals; renewal += 1) {
    renewed = Promise.withResolvers();
    world.clock.advanceSeconds(45);
    await Promise.race([renewed.promise, ended]);
    // Requests on the last connection are answered before the clock ends its certificate.
    const before = [...answered];
    while (answered.some((count, worker) => count < (before[worker] ?? 0) + 3)) {
      await Promise.race([turn(), ended]);
    }
  }
  stop.abort();
  await ended;
  // The requests used as many connections as there were certificates.
  assert.equal(bindings.size, renewals + 1);
});

test('a device that comes back after months recovers by its root of trust in three round trips, and no human', async (t) => {
  await world.setBack(monthsSeconds);
  const dependencies = await newDevice('absent');
  const { credential } = await enrolled(dependencies);
  world.clock.advanceSeconds(monthsSeconds);

  await t.test('the certificate of then opens nothing, and the hub says what to do', async () => {
    await using old = await DeviceLink.open(world.hub, credential);
    assertRefused(await old.ask('POST', '/v1/bind', { evidence: {} }), { status: 401, code: 'certificate-required' });
    assertRefused(await old.ask('POST', '/v1/challenges'), { status: 401, code: 'certificate-required' });
  });
  await t.test('challenge, proof, binding: then it is connected', async () => {
    const before = await requestsSoFar();
    const connected = Promise.withResolvers<void>();
    await using _ = linkOf(dependencies, {
      acquire: (channel) => recover(channel, dependencies),
      onConnected: () => connected.resolve(),
      onRenewed: () => undefined,
    });
    await connected.promise;
    assert.equal((await requestsSoFar()) - before, 3);
  });
  await t.test('who has its disk and not its root of trust gets nothing', async () => {
    const thief = await newDevice('thief');
    const answer = await once((channel) => recover(channel, { ...thief, deviceId: 'absent' }));
    assert.deepEqual([answer.kind, answer.kind === 'refused' && answer.code], ['refused', 'renewal-refused']);
  });
});
