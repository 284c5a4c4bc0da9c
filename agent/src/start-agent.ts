// Wires one agent together and runs it. The only file of the agent that knows all its parts. `main.ts` calls it for the command line; the
// simulator calls it several times in process.
import { rm } from 'node:fs/promises';
import { encodeVerifierKey, type NoteSigner, verifierKeyOf } from '@edgekeep/core/audit/note';
import { utf8 } from '@edgekeep/core/bytes';
import { replaceFile } from '@edgekeep/host/durable-file';
import { warnOfFormerName } from '@edgekeep/wire/former-name';
import { AgentLife, type RunnerHooks } from './agent.ts';
import type { Prover } from './attest/attest.ts';
import { learnStagePcr } from './attest/stage-pcr.ts';
import { keepEnrolledTpm } from './attest/enrolled-tpm.ts';
import { attest } from './hub/attestation.ts';
import { deviceAttributes } from './attest/attributes.ts';
import { HubLink } from './hub/connection.ts';
import type { DesiredStore } from './hub/desired.ts';
import { type Emit, failureEvent, type TimedEvent } from './event.ts';
import { GuardListener } from './guard/listener.ts';
import { guardHostOf } from './guard/host.ts';
import { removeLeftFolders } from './guard/sandbox-probe.ts';
import { GuardWalls } from './guard/walls.ts';
import type { Answer } from './hub-api.ts';
import { formerTokenFile } from './former-settings.ts';
import { HubTime } from './hub/hub-time.ts';
import { registerHybridKey } from './hub/hybrid-registration.ts';
import { enroll, type HubChannel, type Identity, type IdentityDependencies, recover, renew } from './hub/identity.ts';
import { attestDoor, attestDoorAddress } from './local/attest-door.ts';
import { adminApi, statusApi } from './local/local-api.ts';
import { LocalServer } from './local/local-server.ts';
import { endLeases } from './model/lease.ts';
import { ModelRunner, type ModelRunnerDependencies } from './model/model-runner.ts';
import { assertReady, type Machine, thisMachine } from './model/readiness.ts';
import type { AgentSettings, ModelSettings } from './settings.ts';
import { readIfThere, type StateFolder } from './state-folder.ts';
import type { AgentStatus } from './status.ts';
import type { KnownRoots } from './hub/known-roots.ts';
import { WantedResult } from './hub/wanted-result.ts';
import { learnRoots } from './hub/learn-roots.ts';
import { Workloads } from './local/workload.ts';
import { workloadApi } from './local/workload-api.ts';

import { type AgentOptions, type Device, openDevice } from './device.ts';
import { localSockets, modelSocket, workloadSocket } from './socket-paths.ts';

export interface Agent {
  /** The newest events, oldest first. */
  readonly events: readonly TimedEvent[];
  /** The TCP port of the status API, when there is one. */
  readonly loopbackPort: number | undefined;
  /** The TCP port of the attestation door, when there is one. */
  readonly attestPort: number | undefined;
  status(): AgentStatus;
  /** Locks every model, closes every connection. */
  [Symbol.asyncDispose](): Promise<void>;
}

const eventsKept = 200;
const socketModes = { status: 0o660, admin: 0o600, owner: 0o600, group: 0o660 } as const;
/** The PCRs of a local quote before a hub was asked: firmware, boot loader, and the PCR of the stages. */
const localPcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const;

/**
 * Starts an agent. Resolves when it runs; events tell whether it reaches its hub. Throws `settings-invalid`, `state-invalid` and hardware
 * errors.
 */
export async function startAgent(settings: AgentSettings, options: AgentOptions = {}): Promise<Agent> {
  const { clock = Date.now, elapsed = () => performance.now(), random = Math.random } = options;
  const clocks = { clock, elapsed };
  const { events, emit } = newestEvents(clock, options.onEvent);
  const walls = new GuardWalls(options.guardHost ?? (() => guardHostOf(settings)), emit);
  const timing: Timing = { clocks, hubTime: new HubTime(clocks), random, emit };
  await using opening = new AsyncDisposableStack();
  const device = await openDevice(settings, options, emit, opening);
  const listeners = await openListeners(settings, device.folder, opening);
  if (listeners.size > 0) {
    await removeLeftFolders();
    // Found while the device attests. A failure is not kept: the next caller tries again and gets it.
    walls.host().catch((error: unknown) => emit(failureEvent('guard', error)));
  }
  const runners = { listeners, guardHost: walls.host, machine: options.machine ?? thisMachine };
  const wanted = new WantedResult(clock);
  const life = new AgentLife({
    ...lifeOf(settings, device, timing, runners),
    guard: () => walls.report,
    wantsResult: (own) => wanted.isDue(own),
  });
  opening.use(life);
  const { folder, prover, desired } = device;
  await openWorkloadSockets(settings, folder, life, opening);
  const loopbackPort = await openLocalApis(settings, folder, { life, prover, desired, walls }, opening);
  const attestPort = await openAttestDoor(settings, folder, { life, prover, elapsed, wanted }, opening);
  const running = opening.move();
  return {
    get events() {
      return [...events];
    },
    loopbackPort,
    attestPort,
    status: () => life.status(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The newest events, and the function that adds one. */
function newestEvents(clock: () => number, onEvent: AgentOptions['onEvent']) {
  const events: TimedEvent[] = [];
  const emit: Emit = (event) => {
    const timed = { ...event, at: clock() };
    events.push(timed);
    if (events.length > eventsKept) events.shift();
    onEvent?.(timed);
  };
  return { events, emit };
}

interface Timing {
  readonly clocks: { readonly clock: () => number; readonly elapsed: () => number };
  readonly hubTime: HubTime;
  readonly random: () => number;
  readonly emit: Emit;
}

interface Runners {
  readonly listeners: Awaited<ReturnType<typeof openListeners>>;
  readonly guardHost: GuardWalls['host'];
  readonly machine: Machine;
}

/** What the agent's life takes, but for the walls of its guards. */
function lifeOf(
  settings: AgentSettings,
  device: Device,
  timing: Timing,
  runners: Runners,
): Omit<ConstructorParameters<typeof AgentLife>[0], 'guard' | 'wantsResult'> {
  const { deviceId, checkinSeconds } = settings;
  const { folder, rootOfTrust, verdict, prover, witness, desired, roots, keys, stateRecovery } = device;
  const { clocks, emit } = timing;
  const { clock } = clocks;
  const registration = { deviceId, hub: device.pinned.logKey.name, key: device.hybridKey, rootOfTrust, prover, emit };
  const backoff = { firstDelayMs: checkinSeconds * 1_000, maxDelayMs: checkinSeconds * 16_000 };
  return {
    ...timing,
    deviceId,
    tier: rootOfTrust.tier,
    recovery: verdict.kind === 'recovery' ? verdict.error : undefined,
    proxy: device.proxy?.name,
    witness,
    openLink: (callbacks) => new HubLink({ ...callbacks, ...linkOf(settings, device, timing) }),
    makeWorkloads: (link) => {
      const names = settings.workloads.map(({ name }) => name);
      return new Workloads({ ...timing, deviceId, names, send: link.send, backoff });
    },
    makeRunners: (link, hooks) => {
      const shared = { ...hooks, link, backoff, ...timing };
      return settings.models.map((model) => new ModelRunner(runnerOf(model, deviceId, device, runners, shared)));
    },
    registerHybridKey: (link) => registerHybridKey(link, registration),
    recoverState: (link) => stateRecovery.settle(link),
    learnRoots: (link) => learnRoots(link, roots, keys, { clock, emit }),
    attest: (link, bound) => attest({ deviceId, link, prover, keys: keys.attestationKeys, clock }, bound),
    attributes: () => deviceAttributes(rootOfTrust.tier),
    desired,
    endLeases: () => endLeases(rootOfTrust, emit),
    forkProofFile: folder.forkProof,
    checkinSeconds,
    backoff,
  };
}

function linkOf(settings: AgentSettings, device: Device, timing: Timing) {
  const { folder, pinned, prover, roots, rootOfTrust, signer, byKeys, stateRecovery, versions, proxy } = device;
  const { clocks, hubTime, random, emit } = timing;
  const { deviceId } = settings;
  const hub = pinned.logKey.name;
  const identity: IdentityDependencies = { deviceId, hub, rootOfTrust, prover, clocks, hubTime };
  return {
    hub: {
      ...hubAddress(settings),
      acceptServer: (chain: Parameters<KnownRoots['assertNotRevoked']>[0]) => roots.assertNotRevoked(chain),
    },
    otherAddresses: settings.hub.otherAddresses,
    ...(proxy && { proxy: proxy.read }),
    authorities: () => roots.trustedPem,
    generalAuthority: () => roots.generalAuthority,
    prover,
    acquire: (channel: HubChannel) =>
      acquire(channel, identity, { settings, folder, signer, emit, byKeys, stateRecovery, versions }),
    renew: (channel: HubChannel) => renew(channel, identity),
    learnStagePcr: (pcr: number) => learnStagePcr(folder.stagePcr, pcr, emit),
    backoff: { firstDelayMs: 500, maxDelayMs: settings.maxReconnectSeconds * 1_000 },
    clocks,
    hubTime,
    random,
  };
}

function runnerOf(
  model: ModelSettings,
  deviceId: string,
  device: Device,
  { listeners, guardHost, machine }: Runners,
  shared: Timing & RunnerHooks & Pick<ModelRunnerDependencies, 'link' | 'backoff'>,
): ModelRunnerDependencies {
  const { folder, pinned, keys, prover, rootOfTrust, hybridKey, store, versions, faults } = device;
  return {
    ...shared,
    deviceId,
    tier: rootOfTrust.tier,
    prover,
    rootOfTrust,
    hybridKey,
    // Read late: a list that was learned meanwhile counts.
    get trust() {
      return { ...pinned.trust, logs: keys.logs, attestationKeys: keys.attestationKeys };
    },
    settings: model,
    store,
    versions,
    faults,
    assertReady: (verified) => assertReady(verified, guardHost, machine),
    receiptsFolder: folder.receipts,
    guardHost,
    listener: listeners.get(model.name),
    socketPath: listeners.has(model.name) ? modelSocket(model, folder) : undefined,
  };
}

function hubAddress({ hub: { host, port, serverName } }: AgentSettings) {
  return { host, port, ...(serverName === undefined ? {} : { serverName }) };
}

/** The first certificate of this run: by enrollment once in the device's life, by recovery ever after. */
async function acquire(
  channel: HubChannel,
  identity: IdentityDependencies,
  dependencies: { settings: AgentSettings; folder: StateFolder; signer: NoteSigner; emit: Emit } & Pick<
    Device,
    'byKeys' | 'stateRecovery' | 'versions'
  >,
): Promise<Answer<Identity>> {
  const { settings, folder, signer, emit, byKeys, stateRecovery, versions } = dependencies;
  if ((await readIfThere(folder.enrolled)) !== undefined) {
    const recovered = await recover(channel, identity);
    if (recovered.kind === 'refused') return recovered;
    // Of a device that enrolled with an agent of the version before.
    await keepEnrolledTpm(folder.enrolledTpm, identity.rootOfTrust);
    emit({ kind: 'recovered' });
    return recovered;
  }
  const { file: tokenFile, token } = await readToken(settings, folder);
  const enrollment = {
    token: token === undefined ? undefined : Buffer.from(token).toString('utf8').trim(),
    witnessKey: encodeVerifierKey(verifierKeyOf(signer, 'cosignature-v1')),
  };
  let isKnown = false;
  const answer = await byKeys(async () => {
    const enrolled = await enroll(channel, identity, enrollment);
    // If the agent is cut off between the hub's answer and its own record, it returns as a device that the hub knows already.
    isKnown = enrolled.kind === 'refused' && enrolled.reasons.some(({ code }) => code === 'device-id-taken');
    if (!isKnown) return enrolled;
    const recovered = await recover(channel, identity);
    return recovered.kind === 'refused' ? enrolled : recovered;
  });
  if (answer.kind === 'refused') return answer;
  if (isKnown) stateRecovery.loseAll();
  else await versions.begin();
  await keepEnrolledTpm(folder.enrolledTpm, identity.rootOfTrust);
  await replaceFile(folder.enrolled, utf8(`${JSON.stringify({ deviceId: identity.deviceId })}\n`));
  await rm(tokenFile, { force: true });
  emit({ kind: isKnown ? 'recovered' : 'enrolled' });
  return answer;
}

// A kit of the version before has the token under the former name of the file.
async function readToken({ enrollmentTokenFile }: AgentSettings, folder: StateFolder) {
  const file = folder.resolve(enrollmentTokenFile);
  const token = await readIfThere(file);
  const former = folder.resolve(formerTokenFile);
  const formerToken = token === undefined ? await readIfThere(former) : undefined;
  if (formerToken === undefined) return { file, token };
  warnOfFormerName(former, { former: formerTokenFile, present: enrollmentTokenFile });
  return { file: former, token: formerToken };
}

async function openListeners(
  { models }: AgentSettings,
  folder: StateFolder,
  opening: AsyncDisposableStack,
): Promise<ReadonlyMap<string, GuardListener>> {
  const listeners = new Map<string, GuardListener>();
  for (const model of models) {
    if (model.use === 'program') continue;
    const { loopbackPort } = model;
    const listener = await GuardListener.open({ socketPath: modelSocket(model, folder), loopbackPort });
    listeners.set(model.name, opening.use(listener));
  }
  return listeners;
}

async function openLocalApis(
  { local }: AgentSettings,
  folder: StateFolder,
  { life, prover, desired, walls }: { life: AgentLife; prover: Prover; desired: DesiredStore; walls: GuardWalls },
  opening: AsyncDisposableStack,
): Promise<number | undefined> {
  const paths = localSockets({ local }, folder);
  const status = statusApi({
    status: () => life.status(),
    prover,
    pcrs: () => life.pcrs ?? localPcrs,
    attestationResult: () => life.attestationResult,
    missingWalls: () => walls.missing,
    receiptsFolder: folder.receipts,
    desired: () => desired.present,
  });
  const admin = adminApi({ held: (name) => life.runner(name)?.held });
  const statusSocket = { kind: 'socket', path: paths.status, mode: socketModes.status } as const;
  const adminSocket = { kind: 'socket', path: paths.admin, mode: socketModes.admin } as const;
  opening.use(await LocalServer.open(statusSocket, status));
  // A connection on the admin socket lasts as long as the program that uses its data.
  opening.use(await LocalServer.open(adminSocket, admin, 0));
  if (local.loopbackPort === undefined) return undefined;
  const loopback = opening.use(await LocalServer.open({ kind: 'loopback', port: local.loopbackPort }, status));
  return loopback.port;
}

async function openAttestDoor(
  { attestDoor: door }: AgentSettings,
  folder: StateFolder,
  { life, prover, elapsed, wanted }: { life: AgentLife; prover: Prover; elapsed: () => number; wanted: WantedResult },
  opening: AsyncDisposableStack,
): Promise<number | undefined> {
  if (door === undefined) return undefined;
  const where = await attestDoorAddress(door, folder.resolve.bind(folder));
  const answer = attestDoor({
    prover,
    pcrs: () => life.pcrs ?? localPcrs,
    attestationResult: () => life.attestationResult,
    wantResult: () => wanted.want(),
    elapsed,
  });
  return opening.use(await LocalServer.open(where, answer)).port;
}

async function openWorkloadSockets(
  settings: AgentSettings,
  folder: StateFolder,
  { workloads }: AgentLife,
  opening: AsyncDisposableStack,
): Promise<void> {
  if (workloads === undefined) return;
  for (const workload of settings.workloads) {
    const path = workloadSocket(workload, folder);
    const where = { kind: 'socket', path, mode: socketModes[workload.socketMode] } as const;
    opening.use(await LocalServer.open(where, workloadApi(workloads, workload.name)));
  }
}
