// The disk of a device in another machine: the agent finds another TPM than the one with which it enrolled, and stops before it measures, signs or
// asks for anything. Two TPM simulators with states of their own.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { auditList } from '@edgekeep/wire/api/audit';
import { TestAgent } from './support/test-agent.ts';
import { skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';

describe('an agent whose TPM was swapped', { skip: skipWithoutTpm }, () => {
  let fleet: TpmWorld;
  before(async () => {
    fleet = await TpmWorld.open();
  });
  after(() => fleet?.[Symbol.asyncDispose]());

  test('refuses to start, and starts again where its own TPM is', async () => {
    const { world } = fleet;
    const [own, other] = [await fleet.simulator('own'), await fleet.simulator('other')];
    const on = (address: string) => ({ rootOfTrust: { kind: 'tpm' as const, address } });
    await using device = await TestAgent.prepare(world, 'press-1', on(`unix:${own.socketPath}`), 'tpm');
    await (await device.start()).next('connected');
    await device.stop();

    const moved = TestAgent.onState(world, 'press-1', device.stateFolder, on(`unix:${other.socketPath}`));
    const before = (await world.operator.get('/v1/audit?from=0&limit=1000', auditList)).entries.length;
    await assert.rejects(moved.start(), { code: 'tpm-differs', message: /put the disk back into its machine/ });
    const { entries } = await world.operator.get('/v1/audit?from=0&limit=1000', auditList);
    const asked = entries.slice(before).filter(({ subject }) => subject === 'device:press-1');
    assert.deepEqual(asked, []);

    const back = await device.start();
    await back.next('recovered');
  });
});
