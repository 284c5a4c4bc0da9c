// A hub with one device without a TPM, bound and allowed to get keys: for tests of what happens after the release, without a simulator.
import { join } from 'node:path';
import { policyView } from '@edgekeep/wire/api/policy';
import { closeAll } from './closing.ts';
import type { DeviceLink } from './device-link.ts';
import { HubWorld, type WorldOptions } from './hub-world.ts';
import { TestDevice } from './test-device.ts';

/** Gives keys to devices of any tier with their own evidence and without a contradicted boot. */
export const policyForAnyTier = `@id("any-tier")
permit (principal, action == Edgekeep::Action::"releaseKey", resource)
when { context.attestation.instanceIdentity == 2 && context.attestation.executables != 96 };
`;

export class SoftwareWorld {
  readonly world: HubWorld;
  readonly device: TestDevice;
  link: DeviceLink;

  private constructor(world: HubWorld, device: TestDevice, link: DeviceLink) {
    this.world = world;
    this.device = device;
    this.link = link;
  }

  static async open(
    settings: Readonly<Record<string, unknown>> = {},
    options: Pick<WorldOptions, 'generalAuthority' | 'place' | 'secret'> = {},
  ): Promise<SoftwareWorld> {
    // Started parts must not outlive a failure: they would keep the test's process alive.
    await using started = new AsyncDisposableStack();
    const world = started.use(await HubWorld.open({ settings, ...options }));
    await world.operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
    const device = started.use(await TestDevice.withoutTpm('software', join(world.folder, 'software')));
    await device.enroll(world);
    const link = started.use(await device.connect(world.hub));
    started.move();
    return new SoftwareWorld(world, device, link);
  }

  /** After the hub started again. */
  async reconnect(): Promise<void> {
    await this.link[Symbol.asyncDispose]();
    this.link = await this.device.connect(this.world.hub);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeAll(this.world, this.device, this.link);
  }
}
