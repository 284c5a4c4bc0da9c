// The devices of the demo. Where the TPM simulator is missing or incomplete, three devices without a TPM show the same story.
import { counted } from '@edgekeep/core/counted';
import { HardwareError } from '@edgekeep/hardware/error';
import { type DemoDevice, type DeviceOrder, powerOn } from './demo-device.ts';
import { alteredStages, healthyStages } from './firmware.ts';
import type { Progress } from './progress.ts';

const softwareDevice: DeviceOrder = { id: 'press-4-software', tier: 'software', stages: healthyStages };

const fleet: readonly DeviceOrder[] = [
  { id: 'press-1', tier: 'tpm', stages: healthyStages },
  { id: 'press-2', tier: 'tpm', stages: healthyStages },
  { id: 'press-3-altered', tier: 'tpm', stages: alteredStages },
  softwareDevice,
];

/** Separate names: the hub remembers a device's enrollment, and the simulator may be available at the next start. */
const fleetWithoutTpm: readonly DeviceOrder[] = [
  softwareDevice,
  { id: 'press-5-software', tier: 'software', stages: healthyStages },
  { id: 'press-6-altered', tier: 'software', stages: alteredStages },
];

export interface Fleet {
  readonly devices: readonly DemoDevice[];
  /** No TPM could be simulated here. */
  readonly withoutTpm: boolean;
}

/** Powers the devices on; `stack` stops what runs then. */
export async function powerOnFleet(folder: string, progress: Progress, stack: AsyncDisposableStack): Promise<Fleet> {
  progress.say(`powering on ${counted(fleet.length, 'device')}`);
  try {
    return { devices: await powerOnAll(folder, fleet, stack), withoutTpm: false };
  } catch (error) {
    if (!(error instanceof HardwareError) || !error.code.startsWith('simulator-')) throw error;
    progress.say(`no TPM simulator here: ${error.message.split('\n')[0]}`);
  }
  progress.say('continuing without the three TPM devices: software roots of trust show the steps, but prove little');
  progress.say(`powering on ${counted(fleetWithoutTpm.length, 'device')}`);
  return { devices: await powerOnAll(folder, fleetWithoutTpm, stack), withoutTpm: true };
}

/** All of them, or none runs. */
async function powerOnAll(
  folder: string,
  orders: readonly DeviceOrder[],
  stack: AsyncDisposableStack,
): Promise<readonly DemoDevice[]> {
  await using started = new AsyncDisposableStack();
  const results = await Promise.allSettled(
    orders.map(async (order) => {
      const device = await powerOn(folder, order);
      if (device.simulator !== undefined) started.use(device.simulator);
      return device;
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  stack.use(started.move());
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
