// A virtual TPM whose state was copied and restored, beside the original or in its place (spec/tpm-clock.md). The simulator's state folder is
// what a hypervisor has in a snapshot.
import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readClock } from '@edgekeep/core/tpm/commands/clock';
import { clear, clockSet } from '@edgekeep/core/tpm/commands/testing-clock';
import { TpmClient } from '@edgekeep/hardware/tpm/client';
import type { TpmSimulator } from '@edgekeep/hardware/tpm/simulator';
import { openTransport } from '@edgekeep/hardware/tpm/transport';
import { alertOf, alertsOf } from '../support/alerts.ts';
import { assertRefused } from '../support/answer.ts';
import { DeviceLink } from '../support/device-link.ts';
import { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

let fleet: TpmWorld;
before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open();
});
after(() => fleet?.[Symbol.asyncDispose]());

const hourMs = 3_600_000n;
const stateOf = (name: string) => join(fleet.simulators.folder, name);

/** The TPM of a device that is powered on again, and measures its boot. */
async function boot(id: string, simulator: TpmSimulator): Promise<TestDevice> {
  return TestDevice.withTpm(id, simulator);
}

async function execute<T>(simulator: TpmSimulator, work: (client: TpmClient) => Promise<T>): Promise<T> {
  await using client = new TpmClient(await openTransport(simulator.address));
  return await work(client);
}

/** An hour passes for the TPM, while nobody uses it. */
async function passHour(simulator: TpmSimulator): Promise<void> {
  await execute(simulator, async (client) => {
    const { clockInfo } = await client.execute(readClock());
    await client.execute(clockSet(clockInfo.clock + hourMs), ['password']);
  });
}

interface Enrolled {
  readonly simulator: TpmSimulator;
  readonly folder: string;
}

/** A device that enrolled and was shut down in order; its TPM is off. */
async function enrolledAndOff(id: string): Promise<Enrolled> {
  const simulator = await fleet.simulators.start(id);
  {
    await using device = await boot(id, simulator);
    await device.enroll(fleet.world);
  }
  await simulator.powerOff();
  return { simulator, folder: stateOf(id) };
}

// SECURITY.md: DEV-63
test(
  'a snapshot of a TPM that is restored after its device went on is refused by name, with an alert and an entry',
  { skip },
  async () => {
    const { simulator, folder } = await enrolledAndOff('restored');
    const snapshot = stateOf('restored.snapshot');
    await cp(folder, snapshot, { recursive: true });

    await simulator.powerOn();
    await passHour(simulator);
    {
      await using genuine = await boot('restored', simulator);
      await genuine.recover(fleet.world.hub);
      await using link = await genuine.connect(fleet.world.hub);
      await genuine.release(link, model.name, model.version);
    }
    await simulator.powerOff();

    await rm(folder, { recursive: true });
    await cp(snapshot, folder, { recursive: true });
    await simulator.powerOn();
    await using old = await boot('restored', simulator);
    await assert.rejects(old.recover(fleet.world.hub), /renewal-refused.*clock-decreased/s);
    const alert = await alertOf(fleet.world, 'restored', 'clone');
    assert.deepEqual([alert.severity, alert.data['reasons']], ['critical', ['clock-decreased']]);
    const entries = await fleet.world.entries('attestation-refused');
    assert.match(JSON.stringify(entries.filter(({ subject }) => subject === 'device:restored')), /clock-decreased/);
  },
);

// SECURITY.md: DEV-63
test(
  'a copy of a TPM that runs beside the original: the one that speaks second is refused, with the address of its connection',
  { skip },
  async () => {
    const { simulator, folder } = await enrolledAndOff('copied');
    await cp(folder, stateOf('copy'), { recursive: true });
    await simulator.powerOn();
    await using genuine = await boot('copied', simulator);
    await genuine.recover(fleet.world.hub);
    await using link = await genuine.connect(fleet.world.hub);

    const copySimulator = await fleet.simulators.start('copy');
    await passHour(copySimulator);
    await using copy = await boot('copied', copySimulator);
    // The same boot counters, and a clock that is ahead: nothing shows yet.
    await copy.recover(fleet.world.hub);
    assertRefused(await genuine.askForKey(link, model.name, model.version), {
      status: 403,
      code: 'attestation-refused',
      reason: 'clock-decreased',
    });
    await using again = await DeviceLink.open(fleet.world.hub, genuine.credential, '127.0.0.2');
    assertRefused(await genuine.bind(again), { status: 403, code: 'bind-refused', reason: 'clock-decreased' });
    const alert = await alertOf(fleet.world, 'copied', 'clone', ({ count }) => count > 1);
    assert.deepEqual(alert.data['addresses'], ['127.0.0.2']);
  },
);

// SECURITY.md: DEV-63
test(
  'a device whose power was cut goes on, its result says that the clock is not safe, and no alarm is raised',
  { skip },
  async () => {
    const simulator = await fleet.simulators.start('unplugged');
    {
      await using device = await boot('unplugged', simulator);
      await device.enroll(fleet.world);
      await using link = await device.connect(fleet.world.hub);
      await device.release(link, model.name, model.version);
    }
    await simulator.cutPower();
    await simulator.powerOn();
    await using device = await boot('unplugged', simulator);
    await device.recover(fleet.world.hub);
    await using link = await device.connect(fleet.world.hub);
    await device.release(link, model.name, model.version);
    const { appraisal } = await fleet.world.device('unplugged');
    assert.deepEqual([appraisal?.status, appraisal?.clockSafe], ['affirming', false]);
    assert.deepEqual(await alertsOf(fleet.world, 'unplugged'), []);
  },
);

// SECURITY.md: DEV-63
test(
  'after TPM2_Clear the same attestation key is refused until an operator wiped the device and it enrolled again',
  { skip },
  async () => {
    const simulator = await fleet.simulators.start('cleared');
    {
      await using device = await boot('cleared', simulator);
      await device.enroll(fleet.world);
    }
    await simulator.powerCycle();
    {
      await using device = await boot('cleared', simulator);
      await device.recover(fleet.world.hub);
    }
    await execute(simulator, (client) => client.execute(clear(), ['password']));
    await using device = await boot('cleared', simulator);
    await assert.rejects(device.recover(fleet.world.hub), /reset-count-decreased/);
  },
);
