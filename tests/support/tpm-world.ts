// A hub with a fleet of devices that have TPM simulators of one vendor, whose roots the hub trusts; reference values and one model are
// published.
import type { TpmSimulator } from '@edgekeep/hardware/tpm/simulator';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators } from '@edgekeep/hardware/tpm/testing';
import { healthyBoot, referenceValuesOf } from './boot.ts';
import { closeAll } from './closing.ts';
import { HubWorld } from './hub-world.ts';
import { TestDevice } from './test-device.ts';

/** The `skip` option of every test that needs a TPM simulator. */
export const skipWithoutTpm = await skipWithout(...simulatorTools);

export const model = { name: 'surface', version: '1.0.0', content: 'weights of the surface model' } as const;

type Vendor = Awaited<ReturnType<TpmSimulator['vendorCertificates']>>;

export class TpmWorld {
  readonly world: HubWorld;
  readonly simulators: TestSimulators;
  /** PEM of the trusted vendor's CA. */
  readonly vendor: Vendor;
  readonly #devices: TestDevice[] = [];
  /** Making a TPM takes a second: the one that made the vendor's CA becomes the first device's. */
  #spare: TpmSimulator | undefined;

  private constructor(world: HubWorld, simulators: TestSimulators, vendor: Vendor, spare: TpmSimulator) {
    this.world = world;
    this.vendor = vendor;
    this.simulators = simulators;
    this.#spare = spare;
  }

  static async open(settings: Readonly<Record<string, unknown>> = {}): Promise<TpmWorld> {
    const simulators = await testSimulators();
    // Started parts must not outlive a failure: they would keep the test's process alive.
    await using started = new AsyncDisposableStack();
    started.use(simulators);
    const first = await simulators.start('first');
    const vendor = await first.vendorCertificates();
    const world = started.use(await HubWorld.open({ vendorRoots: [vendor.root, vendor.intermediate], settings }));
    await world.publishReferenceValues(referenceValuesOf(healthyBoot, '1.0'));
    await world.publishModel(model.name, model.version, model.content);
    started.move();
    return new TpmWorld(world, simulators, vendor, first);
  }

  /** A TPM, powered on; nothing is measured in it yet. */
  async simulator(name: string, vendor?: string): Promise<TpmSimulator> {
    const spare = this.#spare;
    if (vendor !== undefined || spare === undefined) return this.simulators.start(name, vendor);
    this.#spare = undefined;
    return spare;
  }

  /** A device that booted, not enrolled. */
  async newDevice(id: string, boot = healthyBoot, vendor?: string): Promise<TestDevice> {
    return this.keep(await TestDevice.withTpm(id, await this.simulator(id, vendor), boot));
  }

  /** A device that booted and is enrolled. */
  async device(id: string, boot = healthyBoot): Promise<TestDevice> {
    const device = await this.newDevice(id, boot);
    await device.enroll(this.world);
    return device;
  }

  /** Closes the device with this world. */
  keep(device: TestDevice): TestDevice {
    this.#devices.push(device);
    return device;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeAll(this.simulators, this.world, ...this.#devices);
  }
}
