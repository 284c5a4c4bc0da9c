// A hub on fixed ports, a publisher with key files, TPM simulators of one vendor, and the boot of a healthy device: the setup for the tests
// of the main job. Only its publisher's folder has the plaintext.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PublicationOrder, publishModel } from '@edgekeep/cli/model/publication';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { utf8 } from '@edgekeep/core/bytes';
import { parseBundle } from '@edgekeep/core/model/signature/bundle';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import type { Measurement } from '@edgekeep/hardware/boot/boot-log';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators } from '@edgekeep/hardware/tpm/testing';
import { healthyStages, referenceValuesOf } from '@edgekeep/sim/firmware';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';
import { freePort } from '../support/free-port.ts';
import { closeAll } from '../support/closing.ts';
import { HubWorld } from '../support/hub-world.ts';

/** The options of every test here: a TPM simulator is needed. */
export const jobTest = { skip: await skipWithout(...simulatorTools) };

/** PCR of the agent's measured stages, its default. */
const stagePcr = 14;

export interface JobPublisher {
  readonly signer: Signer;
  readonly folder: string;
  readonly keyFile: string;
  readonly publicFile: string;
}

export interface SignedStage {
  readonly folder: string;
  readonly signature: string;
}

export class JobWorld {
  readonly hub: HubWorld;
  readonly folder: string;
  readonly publisher: JobPublisher;
  readonly simulators: TestSimulators;
  readonly #devices: AsyncDisposable[] = [];

  private constructor(hub: HubWorld, folder: string, publisher: JobPublisher, simulators: TestSimulators) {
    this.hub = hub;
    this.folder = folder;
    this.publisher = publisher;
    this.simulators = simulators;
  }

  /**
   * `settings` are the hub's settings that differ from the usual ones of the tests. The reference values allow a device with the stage of
   * `signStage`.
   */
  static async open(settings: Readonly<Record<string, unknown>> = {}): Promise<JobWorld> {
    // Started parts must not outlive a failure: they would keep the test's process alive.
    await using started = new AsyncDisposableStack();
    const simulators = started.use(await testSimulators());
    const folder = await mkdtemp(join(tmpdir(), 'edgekeep-job-'));
    const { root, intermediate } = await (await simulators.start('vendor-sample')).vendorCertificates();
    const ports = { device: { port: await freePort() }, operator: { port: await freePort() } };
    const hub = started.use(
      await HubWorld.open({ vendorRoots: [root, intermediate], settings: { ...ports, ...settings } }),
    );
    const publisher = await makePublisher(join(folder, 'publisher'));
    await hub.trustPublisher(publisher.signer);
    const world = new JobWorld(hub, folder, publisher, simulators);
    const { measurement } = await world.signStage(join(folder, 'stage'));
    await hub.publishReferenceValues(referenceValuesOf(healthyStages, [measurement], '1.0.0'));
    started.move();
    return world;
  }

  /** Writes and signs the one application stage of this world; the same bytes each time. */
  async signStage(folder: string): Promise<SignedStage & { readonly measurement: Measurement }> {
    const code = join(folder, 'application');
    await mkdir(code, { recursive: true });
    await writeFile(join(code, 'application.js'), 'console.log("the application of the main job")\n');
    const bundle = await signModelFiles(code, { signer: this.publisher.signer, ignorePaths: [] });
    const signature = join(folder, 'application.sigstore.json');
    await writeFile(signature, bundle);
    const parsed = parseBundle(bundle);
    if (parsed.kind === 'refused') throw new TypeError('our own bundle does not parse');
    const digest = createHash('sha256').update(parsed.bundle.envelope.payload).digest();
    const measurement = { pcr: stagePcr, eventType: eventTypes.ipl, digest, event: utf8('stage application') };
    return { folder: code, signature, measurement };
  }

  async publish(order: Pick<PublicationOrder, 'path' | 'name' | 'version'> & Partial<PublicationOrder>): Promise<void> {
    const { operator } = this.hub;
    await publishModel(operator, {
      signer: this.publisher.signer,
      withoutOrt: true,
      progress: () => undefined,
      ...order,
    });
  }

  /** Writes a file of the publisher's and returns its path. */
  async source(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.publisher.folder, name);
    await writeFile(path, content);
    return path;
  }

  /** Stops the device with this world, even if the test failed. */
  keep(device: AsyncDisposable): void {
    this.#devices.push(device);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rm(this.folder, { recursive: true, force: true }));
    stack.defer(() => closeAll(this.simulators, this.hub, ...this.#devices));
  }
}

async function makePublisher(folder: string): Promise<JobPublisher> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const keyFile = join(folder, 'key.pem');
  const publicFile = join(folder, 'key.pub.pem');
  await writeFile(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await writeFile(publicFile, publicKey.export({ type: 'spki', format: 'pem' }));
  return { signer: signerFromKey(privateKey), folder, keyFile, publicFile };
}
