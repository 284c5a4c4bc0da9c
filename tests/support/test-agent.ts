// A real agent, on the software tier as a rule, against a hub in the same process, and a way to wait for its events.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TimedEvent } from '@edgekeep/agent/event';
import { type AgentSettingsInput, parseAgentSettings } from '@edgekeep/agent/settings';
import type { AgentOptions } from '@edgekeep/agent/device';
import { type Agent, startAgent } from '@edgekeep/agent/start-agent';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { policyView } from '@edgekeep/wire/api/policy';
import { type HubWorld, publicPem } from './hub-world.ts';

/** Lets software-only devices have keys: these tests are not about the tier. */
const softwarePolicy = `@id("software-too")
permit (principal is Edgekeep::Device, action == Edgekeep::Action::"releaseKey", resource is Edgekeep::Model)
when { context.attestation.instanceIdentity == 2 && context.attestation.status == "warning" };
`;

export async function allowSoftware(world: HubWorld): Promise<void> {
  await world.operator.send('PUT', '/v1/policy', { text: softwarePolicy }, policyView);
}

type Kind = TimedEvent['kind'];

/** All events of an agent, and promises for the coming ones. */
export class Story {
  readonly events: TimedEvent[] = [];
  readonly #waiting = new Set<() => void>();
  #told = 0;

  readonly observe = (event: TimedEvent): void => {
    this.events.push(event);
    for (const look of this.#waiting) look();
  };

  /** The next event of this kind that was not waited for yet; it uses up all earlier events. */
  async next<K extends Kind>(kind: K): Promise<Extract<TimedEvent, { kind: K }>> {
    const { promise, resolve } = Promise.withResolvers<Extract<TimedEvent, { kind: K }>>();
    const look = () => {
      const at = this.events.findIndex((event, index) => index >= this.#told && event.kind === kind);
      const found = this.events[at];
      if (found === undefined || !isOf(found, kind)) return;
      this.#waiting.delete(look);
      this.#told = at + 1;
      resolve(found);
    };
    this.#waiting.add(look);
    look();
    const timer = setTimeout(() => {
      process.stderr.write(`still waiting for ${kind}; told so far: ${JSON.stringify(this.events.slice(-8))}\n`);
    }, 15_000);
    return promise.finally(() => clearTimeout(timer));
  }

  has(kind: Kind): boolean {
    return this.events.some((event) => event.kind === kind);
  }
}

function isOf<K extends Kind>(event: TimedEvent, kind: K): event is Extract<TimedEvent, { kind: K }> {
  return event.kind === kind;
}

export class TestAgent {
  readonly stateFolder: string;
  readonly #world: HubWorld;
  readonly #id: string;
  readonly #bootId = crypto.randomUUID();
  readonly #settings: Partial<AgentSettingsInput>;
  /** As it was delivered: the hub's log may have been handed over since. */
  readonly #logKey: string;
  #agent: Agent | undefined;
  story = new Story();

  private constructor(
    world: HubWorld,
    id: string,
    stateFolder: string,
    settings: Partial<AgentSettingsInput>,
    logKey = encodeVerifierKey(world.hub.logKey),
  ) {
    this.#world = world;
    this.#id = id;
    this.stateFolder = stateFolder;
    this.#settings = settings;
    this.#logKey = logKey;
  }

  /** Writes the delivered files; nothing runs yet. */
  static async prepare(
    world: HubWorld,
    id: string,
    settings: Partial<AgentSettingsInput> = {},
    tier: 'tpm' | 'software' = 'software',
  ): Promise<TestAgent> {
    const stateFolder = await mkdtemp(join(tmpdir(), 'edgekeep-agent-'));
    await mkdir(stateFolder, { recursive: true });
    const { attestationKeys } = await world.trust();
    const files = {
      'hub-ca.pem': world.hub.rootPem,
      'attestation.pem': attestationKeys
        .map(({ publicKey }) => publicKey.export({ type: 'spki', format: 'pem' }))
        .join(''),
      'publisher.pem': publicPem(world.publisher),
      'enrollment-token': await world.enrollmentToken({ deviceId: id, tier }),
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(stateFolder, name), text);
    return new TestAgent(world, id, stateFolder, settings);
  }

  /** An agent on state that another version wrote; `logKey` as it was delivered, left out: that of the hub now. */
  static onState(
    world: HubWorld,
    id: string,
    stateFolder: string,
    settings: Partial<AgentSettingsInput>,
    logKey?: string,
  ): TestAgent {
    return new TestAgent(world, id, stateFolder, settings, logKey);
  }

  get agent(): Agent {
    if (this.#agent === undefined) throw new TypeError('the agent is stopped');
    return this.#agent;
  }

  /** `hubAddress` is where it looks for the hub; left out: where it is. */
  async start(
    options: AgentOptions = {},
    hubAddress = this.#world.hub.deviceAddress,
    serverName = 'localhost',
  ): Promise<Story> {
    const { clock } = this.#world;
    const { host, port } = hubAddress;
    const settings = parseAgentSettings({
      stateFolder: this.stateFolder,
      deviceId: this.#id,
      hub: {
        host,
        port,
        serverName,
        caFile: 'hub-ca.pem',
        logKey: this.#logKey,
        attestationKeyFiles: ['attestation.pem'],
      },
      rootOfTrust: { kind: 'software' },
      publisherKeyFiles: ['publisher.pem'],
      checkinSeconds: 0.3,
      maxReconnectSeconds: 0.5,
      ...this.#settings,
    });
    this.story = new Story();
    const { observe: onEvent } = this.story;
    // Time passes for the device as the hub's clock is moved.
    const clocks = { clock: clock.now, elapsed: clock.now };
    this.#agent = await startAgent(settings, { bootId: this.#bootId, ...clocks, onEvent, ...options });
    return this.story;
  }

  async stop(): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
    this.#agent = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.stateFolder, { recursive: true, force: true });
  }
}
