// One device with the agent inside: its disk outlives its boots, and what the agent says comes out of a serial port.
import assert from 'node:assert/strict';
import { parseJson } from '@edgekeep/core/json';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { utf8 } from '@edgekeep/core/bytes';
import { vendorCertificates } from '@edgekeep/hardware/tpm/simulator-manufacture';
import { z } from 'zod';
import { HubWorld } from '../support/hub-world.ts';
import { TestAgent } from '../support/test-agent.ts';
import { type BootWorld, reportOf } from './boot-world.ts';
import type { GrubDisk } from './disks.ts';
import { makeDeviceDisk } from './device-disk.ts';
import { guestInitrd, type GuestReport } from './guest.ts';

/** What an event of the agent can have, of which these tests speak. */
const agentEvent = z.looseObject({
  kind: z.string(),
  status: z.string().optional(),
  code: z.string().optional(),
  reasons: z.array(z.looseObject({ code: z.string(), message: z.string() })).default([]),
});
type AgentEvent = z.infer<typeof agentEvent>;

export interface InsideStory {
  readonly report: GuestReport;
  readonly events: readonly AgentEvent[];
  /** CPU time, for the log of the tests. */
  readonly figures: string;
}

export class DeviceInside {
  readonly #world: BootWorld;
  readonly #image: string;

  private constructor(world: BootWorld, image: string) {
    this.#world = world;
    this.#image = image;
  }

  static async make(world: BootWorld, hub: HubWorld, deviceId: string): Promise<DeviceInside> {
    await using agent = await TestAgent.prepare(hub, deviceId, {}, 'tpm');
    const settings = {
      deviceId,
      hub: {
        // This machine, as QEMU's network shows it to the guest.
        host: '10.0.2.2',
        port: hub.hub.deviceAddress.port,
        serverName: 'localhost',
        caFile: 'hub-ca.pem',
        logKey: encodeVerifierKey(hub.hub.logKey),
        attestationKeyFiles: ['attestation.pem'],
      },
      runFolder: '/run/edgekeep',
      publisherKeyFiles: ['publisher.pem'],
      models: [{ name: 'surface', use: 'program' }],
      checkinSeconds: 1,
      maxReconnectSeconds: 1,
    };
    const order = { folder: world.newFolder(), stateFolder: agent.stateFolder, settings };
    return new DeviceInside(world, await makeDeviceDisk(order));
  }

  /** A disk with shim, GRUB and Debian's kernel, and an initrd with that kernel's drivers. */
  async grubDisk(changes: Partial<Omit<GrubDisk, 'initrd'>> & { readonly note?: string } = {}): Promise<string> {
    const { note, ...parts } = changes;
    return this.#world.grubDisk({ ...parts, initrd: await this.initrd(parts.kernel, note) });
  }

  async initrd(kernel = this.#world.files.kernel, note = ''): Promise<Uint8Array> {
    const { files } = this.#world;
    return guestInitrd(files.busybox, note, await files.driversOf(kernel));
  }

  /** Boots, and powers off at the agent's first event of one of these kinds. */
  async boot(disk: string, until: readonly string[], variables?: string): Promise<InsideStory> {
    const isOver = (output: string) => eventsOf(output).some(({ kind }) => until.includes(kind));
    const boot = await this.#world.boot(disk, variables, { image: this.#image, until: isOver });
    const events = eventsOf(boot.output);
    if (!isOver(boot.output))
      throw new Error(`no ${until.join(' or ')}: ${boot.console.slice(-500)} ${boot.output.slice(-3_000)}`);
    return { report: reportOf(boot), events, figures: `${boot.cpuSeconds} seconds of CPU time` };
  }
}

/** Lines that are complete; others are of programs before the agent. */
function eventsOf(output: string): readonly AgentEvent[] {
  const lines = output.split('\n').slice(0, -1);
  return lines
    .filter((line) => line.startsWith('{'))
    .map((line) => parseJson(utf8(line.trim()), agentEvent, `the agent, which said ${line.trim()},`));
}

export function eventOf({ events }: InsideStory, kind: string): AgentEvent {
  const event = events.find((each) => each.kind === kind);
  if (event === undefined) throw new Error(`no ${kind} among ${events.map((each) => each.kind).join(', ')}`);
  return event;
}

/** The boot was affirmed, and the key of the model opened in the machine's TPM. */
export function assertLeased(story: InsideStory): void {
  const { status, reasons } = eventOf(story, 'attested');
  assert.deepEqual([status, reasons], ['affirming', []]);
  eventOf(story, 'released');
  eventOf(story, 'ready');
}

export function refusalOf(story: InsideStory): { readonly codes: readonly string[]; readonly text: string } {
  const { code, reasons } = eventOf(story, 'refused');
  assert.equal(code, 'attestation-refused');
  assert.ok(!story.events.some(({ kind }) => kind === 'released'));
  return { codes: reasons.map((each) => each.code), text: reasons.map(({ message }) => message).join('\n') };
}

/** What ends a boot: the device has the model, or not. */
export const verdict: readonly string[] = ['ready', 'refused', 'model-refused'];

/** A hub that trusts the vendor of the machine's TPM, and has a model. */
export async function openHub(world: BootWorld, pcrs: readonly number[]): Promise<HubWorld> {
  const { root, intermediate } = await vendorCertificates(world.vendorFolder);
  const opened = await HubWorld.open({ vendorRoots: [root, intermediate], settings: { pcrs } });
  await opened.publishModel('surface', '1.0.0', 'weights of the surface model');
  return opened;
}
