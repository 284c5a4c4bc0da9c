// One device of the demo: a TPM simulator (or none), firmware that measures its boot, and the agent on top.
import { makeFolder } from '@edgekeep/host/make-folder';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentEvent } from '@edgekeep/agent/event';
import { parseAgentSettings } from '@edgekeep/agent/settings';
import { type Agent, startAgent } from '@edgekeep/agent/start-agent';
import { BootLog } from '@edgekeep/hardware/boot/boot-log';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { SoftwareRootOfTrust } from '@edgekeep/hardware/software/software-root-of-trust';
import { TpmSimulator } from '@edgekeep/hardware/tpm/simulator';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import type { Application } from './application.ts';
import { boot, type Stage } from './firmware.ts';

export interface DeviceOrder {
  readonly id: string;
  readonly tier: 'tpm' | 'software';
  readonly stages: readonly Stage[];
}

export interface DemoDevice {
  readonly order: DeviceOrder;
  readonly folder: string;
  /** Undefined on the software tier. */
  readonly simulator: TpmSimulator | undefined;
}

/** Powers the device on: its TPM's PCRs start over. */
export async function powerOn(folder: string, order: DeviceOrder): Promise<DemoDevice> {
  const own = join(folder, 'devices', order.id);
  await makeFolder(own, { mode: 0o700 });
  if (order.tier === 'software') return { order, folder: own, simulator: undefined };
  const simulator = await TpmSimulator.start({
    stateFolder: join(own, 'tpm'),
    vendorFolder: join(folder, 'tpm-vendor'),
  });
  return { order, folder: own, simulator };
}

export interface AgentOrder {
  readonly hub: {
    readonly host: string;
    readonly port: number;
    readonly rootPem: string;
    readonly logKey: string;
    readonly attestationKeyPem: string;
  };
  readonly publisherPem: string;
  readonly application: Application;
  readonly model: string;
  /** Undefined once the device is enrolled. */
  readonly enrollmentToken: string | undefined;
  readonly bootId: string;
  readonly onEvent: (event: AgentEvent) => void;
}

/** Boots the firmware into the log, then starts the agent. */
export async function startDemoAgent(device: DemoDevice, order: AgentOrder): Promise<Agent> {
  const state = join(device.folder, 'state');
  await makeFolder(state, { mode: 0o700 });
  const rootOfTrust = await openRootOfTrust(device, state, order.bootId);
  const firmware = await BootLog.open({ folder: join(device.folder, 'firmware'), bootId: order.bootId, rootOfTrust });
  await boot(firmware, device.order.stages);
  const firmwareLogFile = join(device.folder, 'firmware.log');
  await writeFile(firmwareLogFile, firmware.bytes);
  const files = {
    'hub-ca.pem': order.hub.rootPem,
    'attestation-key.pem': order.hub.attestationKeyPem,
    'publisher.pem': order.publisherPem,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(state, name), text);
  if (order.enrollmentToken !== undefined)
    await writeFile(join(state, 'enrollment-token'), order.enrollmentToken, { mode: 0o600 });
  const settings = parseAgentSettings({
    stateFolder: state,
    deviceId: device.order.id,
    hub: {
      host: order.hub.host,
      port: order.hub.port,
      serverName: 'localhost',
      caFile: 'hub-ca.pem',
      logKey: order.hub.logKey,
      attestationKeyFiles: ['attestation-key.pem'],
    },
    rootOfTrust:
      device.simulator === undefined
        ? { kind: 'software' }
        : { kind: 'tpm', address: `unix:${device.simulator.socketPath}` },
    publisherKeyFiles: ['publisher.pem'],
    models: [{ name: order.model }],
    measuredStart: {
      keyFiles: ['publisher.pem'],
      stages: order.application.stages.map(({ name, folder, signature }) => ({ name, folder, signature })),
      firmwareLogFile,
    },
    checkinSeconds: 2,
    maxReconnectSeconds: 2,
  });
  return startAgent(settings, { rootOfTrust, bootId: order.bootId, onEvent: order.onEvent });
}

async function openRootOfTrust({ simulator }: DemoDevice, state: string, bootId: string): Promise<RootOfTrust> {
  if (simulator !== undefined) return TpmRootOfTrust.open(simulator.address);
  return SoftwareRootOfTrust.open({ stateFolder: join(state, 'root-of-trust'), bootId });
}
