// Waiting for a device's next check-ins, as the hub sees them.
import { setTimeout as pause } from 'node:timers/promises';
import type { HubWorld } from './hub-world.ts';

const lookMs = 20;

/**
 * Resolves when the device has checked in this many times more. Every action of a check-in has then happened as often, except for the last
 * one.
 */
export async function checkInsOf(world: HubWorld, deviceId: string, times: number): Promise<void> {
  let { seenAt } = await world.device(deviceId);
  for (let seen = 0; seen < times;) {
    await pause(lookMs);
    const now = (await world.device(deviceId)).seenAt;
    if (now !== seenAt) seen += 1;
    seenAt = now;
  }
}
