// A device of the main job: a TPM simulator that measured a boot, a state folder as it is delivered, and the real agent on it, in this
// process or in a separate one.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TimedEvent } from '@edgekeep/agent/event';
import { type AgentSettingsInput, parseAgentSettings } from '@edgekeep/agent/settings';
import type { AgentOptions } from '@edgekeep/agent/device';
import { type Agent, startAgent } from '@edgekeep/agent/start-agent';
import type { AgentStatus } from '@edgekeep/agent/status';
import { findProgram } from '@edgekeep/cli/program';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { BootLog } from '@edgekeep/hardware/boot/boot-log';
import type { TpmSimulator } from '@edgekeep/hardware/tpm/simulator';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { boot, healthyStages } from '@edgekeep/sim/firmware';
import { endChild } from '../support/child.ts';
import { Story } from '../support/test-agent.ts';
import type { JobWorld, SignedStage } from './job-world.ts';

type Models = NonNullable<AgentSettingsInput['models']>;

export interface AgentProcess {
  readonly story: Story;
  readonly processId: number;
  /** Settles with the way the process ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  kill(signal: 'SIGKILL' | 'SIGTERM'): void;
}

export class JobDevice {
  readonly id: string;
  /** Everything of this device on disk, except its TPM. */
  readonly folder: string;
  readonly stage: SignedStage;
  /** TPM2B_PUBLIC of the attestation key, in a file. */
  readonly attestationKeyFile: string;
  readonly #world: JobWorld;
  readonly #settings: Omit<AgentSettingsInput, 'stateFolder'>;
  #agent: Agent | undefined;
  #story = new Story();
  #child: ChildProcess | undefined;

  private constructor(
    world: JobWorld,
    id: string,
    parts: { folder: string; stage: SignedStage; settings: Omit<AgentSettingsInput, 'stateFolder'> },
  ) {
    this.#world = world;
    this.id = id;
    this.folder = parts.folder;
    this.stage = parts.stage;
    this.attestationKeyFile = join(parts.folder, 'attestation-key.pub');
    this.#settings = parts.settings;
  }

  /** Powers the TPM on, boots into it, and writes the delivered files. None of our programs runs yet. */
  static async prepare(world: JobWorld, id: string, models: Models = []): Promise<JobDevice> {
    const simulator = await world.simulators.start(id);
    const folder = join(world.folder, 'devices', id);
    const state = join(folder, 'state');
    await mkdir(state, { recursive: true, mode: 0o700 });
    const stage = await world.signStage(join(folder, 'stage'));
    const settings = settingsOf(world, id, { folder, stage, models, simulator });
    const device = new JobDevice(world, id, { folder, stage, settings });
    await mkdir(device.temporaryFolder);
    world.keep(device);
    await device.#boot(simulator);
    const { hub, publisher } = world;
    const files = {
      'hub-ca.pem': hub.hub.rootPem,
      'attestation-key.pem': hub.hub.attestationKeyPem,
      'publisher.pem': await readFile(publisher.publicFile, 'utf8'),
      'enrollment-token': await hub.enrollmentToken({ deviceId: id, tier: 'tpm' }),
      'agent.json': JSON.stringify(settings),
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(state, name), text, { mode: 0o600 });
    return device;
  }

  async #boot(simulator: TpmSimulator): Promise<void> {
    await using rootOfTrust = await TpmRootOfTrust.open(simulator.address);
    const log = await BootLog.open({ folder: join(this.folder, 'firmware'), bootId: this.id, rootOfTrust });
    await boot(log, healthyStages);
    await writeFile(join(this.folder, 'firmware.log'), log.bytes);
    const identity = await rootOfTrust.describe();
    if (identity.tier === 'tpm') await writeFile(this.attestationKeyFile, identity.attestationPublic);
  }

  get stateFolder(): string {
    return join(this.folder, 'state');
  }

  socket(name: string): string {
    return join(this.stateFolder, 'run', `${name}.sock`);
  }

  get agent(): Agent {
    if (this.#agent === undefined) throw new TypeError('no agent runs in this process');
    return this.#agent;
  }

  modelStatus(): AgentStatus['models'][number] {
    const [model] = this.agent.status().models;
    if (model === undefined) throw new TypeError('the device has no model');
    return model;
  }

  /** The events of the newest agent of this device. */
  get story(): Story {
    return this.#story;
  }

  /** Starts the agent in this process. Its wall clock is the hub's; `elapsed` may replace the machine's monotonic clock. */
  async start(options: Pick<AgentOptions, 'elapsed'> = {}): Promise<Story> {
    const story = new Story();
    this.#story = story;
    const settings = parseAgentSettings({ ...this.#settings, stateFolder: this.stateFolder });
    this.#agent = await startAgent(settings, {
      clock: this.#world.hub.clock.now,
      onEvent: story.observe,
      ...options,
    });
    return story;
  }

  /** Where an agent in a separate process would leave temporary files. */
  get temporaryFolder(): string {
    return join(this.folder, 'tmp');
  }

  /** Starts the agent as its users do: in a separate process. */
  spawn(): AgentProcess {
    const child = spawn(process.execPath, [findProgram('@edgekeep/agent/main').file, '--state', this.stateFolder], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: this.temporaryFolder },
    });
    const story = new Story();
    this.#story = story;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event: TimedEvent = JSON.parse(line);
      story.observe(event);
    });
    const ended = new Promise<Awaited<AgentProcess['ended']>>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    this.#child = child;
    return { story, processId: child.pid ?? 0, ended, kill: (signal) => void child.kill(signal) };
  }

  async stop(): Promise<void> {
    const agent = this.#agent;
    const child = this.#child;
    this.#agent = undefined;
    this.#child = undefined;
    await using stack = new AsyncDisposableStack();
    if (child !== undefined) stack.defer(() => endChild(child, 'SIGTERM'));
    if (agent !== undefined) stack.use(agent);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

interface SettingsParts {
  readonly folder: string;
  readonly stage: SignedStage;
  readonly models: Models;
  readonly simulator: TpmSimulator;
}

function settingsOf(world: JobWorld, id: string, { folder, stage, models, simulator }: SettingsParts) {
  const { host, port } = world.hub.hub.deviceAddress;
  return {
    deviceId: id,
    hub: {
      host,
      port,
      serverName: 'localhost',
      caFile: 'hub-ca.pem',
      logKey: encodeVerifierKey(world.hub.hub.logKey),
      attestationKeyFiles: ['attestation-key.pem'],
    },
    rootOfTrust: { kind: 'tpm' as const, address: `unix:${simulator.socketPath}` },
    publisherKeyFiles: ['publisher.pem'],
    models,
    measuredStart: {
      keyFiles: ['publisher.pem'],
      stages: [{ name: 'application', folder: stage.folder, signature: stage.signature }],
      firmwareLogFile: join(folder, 'firmware.log'),
    },
    checkinSeconds: 0.3,
    maxReconnectSeconds: 0.5,
  };
}
