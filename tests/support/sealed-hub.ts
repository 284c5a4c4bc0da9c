// A hub whose keys are sealed, in a temporary folder, in this process on free ports.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishModel } from '@edgekeep/cli/model/publication';
import type { Operator } from '@edgekeep/cli/operator';
import { initHub } from '@edgekeep/hub/commands/init';
import { openSealed } from '@edgekeep/hub/secrets/open-keys';
import type { NewUnlocker } from '@edgekeep/hub/secrets/unlock';
import { parseHubSettings } from '@edgekeep/hub/settings';
import { type Hub, startHub } from '@edgekeep/hub/wiring/start';
import { publisherResponse } from '@edgekeep/wire/api/publisher';
import { tokenDeviceResponse } from '@edgekeep/wire/api/token-device';
import { newPublisher, operatorAt } from './hub-world.ts';

export const sealedHubSettings = parseHubSettings(
  { device: { port: 0 }, operator: { port: 0 }, logOrigin: 'edgekeep.test/log', logLevel: 'silent' },
  'test settings',
);

export class SealedHub {
  readonly folder: string;
  readonly secret: Uint8Array = randomBytes(32);
  readonly publisher = newPublisher();
  #hub: Hub | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes the hub; a program that prints `secret` opens it, and so do `others`. */
  static async make(others: readonly NewUnlocker[] = []): Promise<SealedHub> {
    const hub = new SealedHub(await mkdtemp(join(tmpdir(), 'edgekeep-sealed-hub-')));
    await initHub(hub.data, {
      rootFolder: join(hub.folder, 'root'),
      settings: sealedHubSettings,
      nowMs: Date.now(),
      unlockers: [{ kind: 'program', secret: hub.secret }, ...others],
    });
    return hub;
  }

  get data(): string {
    return join(this.folder, 'hub');
  }

  get keys(): string {
    return join(this.data, 'keys');
  }

  async start(data = this.data, secret = this.secret): Promise<Operator> {
    const keyStore = await openSealed(join(data, 'keys'), { kind: 'program', secret: Uint8Array.from(secret) });
    this.#hub = await startHub(data, sealedHubSettings, undefined, keyStore);
    // Not in a backup: the operator has it.
    return operatorAt(join(this.data, 'operator.json'), this.#hub.operatorAddress);
  }

  async stop(): Promise<void> {
    await this.#hub?.[Symbol.asyncDispose]();
    this.#hub = undefined;
  }

  async trustPublisher(operator: Operator): Promise<void> {
    const publicKey = this.publisher.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    await operator.send('POST', '/v1/publishers', { name: 'test publisher', publicKey }, publisherResponse);
  }

  async publish(operator: Operator, version: string): Promise<void> {
    const path = join(this.folder, 'weights.bin');
    await writeFile(path, `weights of ${version}`);
    const order = { path, name: 'inspect', version, signer: this.publisher, withoutOrt: true };
    await publishModel(operator, { ...order, progress: () => undefined });
  }

  /** Registers a device that signs tokens; returns its secret. */
  async addTokenDevice(operator: Operator, id: string): Promise<string> {
    return (await operator.send('POST', '/v1/token-devices', { id }, tokenDeviceResponse)).secret;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
