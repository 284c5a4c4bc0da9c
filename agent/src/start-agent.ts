// Wires one agent together and runs it. The only file of the agent that knows all its parts. `main.ts` calls it for the command line; the
// simulator calls it several times in process.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Trust } from '@edgekeep/core/access/trust';
import {
  encodeVerifierKey,
  type NoteSigner,
  parseVerifierKey,
  type VerifierKey,
  verifierKey,
} from '@edgekeep/core/audit/note';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import { utf8 } from '@edgekeep/core/bytes';
import { canonicalKey } from '@edgekeep/core/identity/public-key';
import { replaceFile } from '@edgekeep/host/durable-file';
import { kernelBootId } from '@edgekeep/hardware/boot/boot-id';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { warnOfFormerName } from '@edgekeep/wire/former-name';
import { AgentLife, type RunnerHooks } from './agent.ts';
import { Prover } from './attest/attest.ts';
import { attest } from './hub/attestation.ts';
import { deviceAttributes } from './attest/attributes.ts';
import { Witness } from './hub/witness.ts';
import { HubLink } from './hub/connection.ts';
import { DesiredStore } from './hub/desired.ts';
import { AgentError } from './error.ts';
import { type Emit, failureEvent, type TimedEvent } from './event.ts';
import { GuardListener } from './guard/listener.ts';
import { type GuardHost, guardHostOf } from './guard/host.ts';
import { removeLeftDoors } from './guard/doors.ts';
import { removeLeftFolders } from './guard/sandbox-probe.ts';
import { GuardWalls } from './guard/walls.ts';
import type { Answer, Send } from './hub-api.ts';
import { formerTokenFile } from './former-settings.ts';
import { HubTime } from './hub/hub-time.ts';
import { enroll, type Identity, type IdentityDependencies, recover, renew } from './hub/identity.ts';
import { adminApi, statusApi } from './local/local-api.ts';
import { LocalServer } from './local/local-server.ts';
import { endLeases } from './model/lease.ts';
import { measureStages } from './attest/measured-start.ts';
import { ModelFaults } from './model/model-faults.ts';
import { ModelRunner, type ModelRunnerDependencies } from './model/model-runner.ts';
import { ModelStore } from './model/model-store.ts';
import { assertReady, type Machine, thisMachine } from './model/readiness.ts';
import { imaLogFile, openBootLog, openRootOfTrust } from './attest/root-of-trust.ts';
import type { AgentSettings, ModelSettings } from './settings.ts';
import { openStateFolder, readIfThere, type StateFolder } from './state-folder.ts';
import { StateLock } from './state-lock.ts';
import type { AgentStatus } from './status.ts';
import { KnownRoots } from './hub/known-roots.ts';
import { learnRoots } from './hub/learn-roots.ts';
import { HighestVersions } from './model/versions.ts';
import { openWitnessKey } from './hub/witness-key.ts';
import { Workloads } from './local/workload.ts';
import { workloadApi } from './local/workload-api.ts';

export interface Agent {
  /** The newest events, oldest first. */
  readonly events: readonly TimedEvent[];
  /** The TCP port of the status API, when there is one. */
  readonly loopbackPort: number | undefined;
  status(): AgentStatus;
  /** Locks every model, closes every connection. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Replacements that a caller in the same process may pass for the real parts. */
export interface AgentOptions {
  /** The caller keeps it and disposes of it. */
  readonly rootOfTrust?: RootOfTrust;
  /** Which boot this is; left out: the kernel's. */
  readonly bootId?: string;
  /** Unix milliseconds. */
  readonly clock?: () => number;
  /** Milliseconds since some start; cannot be set. */
  readonly elapsed?: () => number;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** How guards run here; left out: the guard of this source tree behind every wall that the machine provides. */
  readonly guardHost?: () => Promise<GuardHost>;
  /** The resources of the machine that are free for models. */
  readonly machine?: Machine;
  readonly onEvent?: (event: TimedEvent) => void;
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
  const { machine = thisMachine, onEvent } = options;
  const clocks = { clock, elapsed };
  const hubTime = new HubTime(clocks);
  const events: TimedEvent[] = [];
  const emit: Emit = (event) => {
    const timed = { ...event, at: clock() };
    events.push(timed);
    if (events.length > eventsKept) events.shift();
    onEvent?.(timed);
  };
  const walls = new GuardWalls(options.guardHost ?? (() => guardHostOf(settings)), emit);
  const guardHost = walls.host;
  const { deviceId } = settings;
  await using opening = new AsyncDisposableStack();

  const folder = await openStateFolder(settings);
  // Before the root of trust is used or the boot log grows.
  opening.use(await StateLock.take(folder.run));
  await removeLeftDoors(folder.run);
  const pinned = await readPinned(settings, folder);
  const bootId = options.bootId ?? (await kernelBootId());
  const rootOfTrust = options.rootOfTrust ?? opening.use(await openRootOfTrust(settings, folder, bootId));
  emit({ kind: 'started', deviceId, tier: rootOfTrust.tier });
  const bootLog = await openBootLog(settings, folder, bootId, rootOfTrust);
  const verdict = await measureStages(bootLog, await stagesOf(settings, folder), emit);
  const prover = new Prover({ rootOfTrust, eventLog: () => bootLog.bytes, imaLogFile: imaLogFile(settings, folder) });
  const signer = await openWitnessKey(folder.witnessKey, `${pinned.trust.logKey.name}/${deviceId}`);
  const { checkpoint: checkpointFile, forkProof: forkProofFile } = folder;
  const witness = await Witness.open({ logKey: pinned.trust.logKey, signer, checkpointFile, forkProofFile });
  const versions = await HighestVersions.open(folder.versions);
  const modelNames = settings.models.map(({ name }) => name);
  const faults = await ModelFaults.open(folder.modelFaults, modelNames);
  const desired = await DesiredStore.open(folder.desired);
  const roots = await KnownRoots.open(folder.knownRoots, pinned.authorityPem);
  const listeners = await openListeners(settings, folder, opening);

  if (listeners.size > 0) {
    await removeLeftFolders();
    // Found while the device attests. A failure is not kept: the next caller tries again and gets it.
    guardHost().catch((error: unknown) => emit(failureEvent('guard', error)));
  }

  const identity: IdentityDependencies = { deviceId, rootOfTrust, prover, clocks, hubTime };
  const common = { deviceId, prover, rootOfTrust, trust: pinned.trust, clocks, hubTime, random, emit };
  const store = new ModelStore(folder.models);
  const backoff = { firstDelayMs: settings.checkinSeconds * 1_000, maxDelayMs: settings.checkinSeconds * 16_000 };
  const makeRunner = (model: ModelSettings, link: HubLink, hooks: RunnerHooks): ModelRunner => {
    const dependencies: ModelRunnerDependencies = {
      ...common,
      ...hooks,
      settings: model,
      link,
      store,
      versions,
      faults,
      assertReady: (verified) => assertReady(verified, guardHost, machine),
      receiptsFolder: folder.receipts,
      guardHost,
      listener: listeners.get(model.name),
      socketPath: listeners.has(model.name) ? socketPath(model, folder) : undefined,
      backoff,
    };
    return new ModelRunner(dependencies);
  };
  const life = new AgentLife({
    deviceId,
    tier: rootOfTrust.tier,
    recovery: verdict.kind === 'recovery' ? verdict.error : undefined,
    witness,
    openLink: (callbacks) =>
      new HubLink({
        ...callbacks,
        hub: { ...hubAddress(settings), acceptServer: (chain) => roots.assertNotRevoked(chain) },
        authorities: () => roots.trustedPem,
        prover,
        acquire: (send) => acquire(send, identity, { settings, folder, signer, emit }),
        renew: (send) => renew(send, identity),
        backoff: { firstDelayMs: 500, maxDelayMs: settings.maxReconnectSeconds * 1_000 },
        clocks,
        hubTime,
        random,
      }),
    makeWorkloads: (link) =>
      new Workloads({
        deviceId,
        names: settings.workloads.map(({ name }) => name),
        send: link.send,
        emit,
        clocks,
        hubTime,
        backoff,
        random,
      }),
    makeRunners: (link, hooks) => settings.models.map((model) => makeRunner(model, link, hooks)),
    learnRoots: (link) => learnRoots(link, roots, { clock, emit }),
    attest: (link, bound) => attest({ deviceId, link, prover, keys: pinned.trust.attestationKeys, clock }, bound),
    attributes: () => deviceAttributes(rootOfTrust.tier),
    desired,
    guard: () => walls.report,
    endLeases: () => endLeases(rootOfTrust, emit),
    forkProofFile,
    checkinSeconds: settings.checkinSeconds,
    emit,
    clocks,
    hubTime,
    backoff,
    random,
  });
  opening.use(life);
  await openWorkloadSockets(settings, folder, life, opening);
  const loopbackPort = await openLocalApis(settings, folder, { life, prover, desired, walls }, opening);
  const running = opening.move();
  return {
    get events() {
      return [...events];
    },
    loopbackPort,
    status: () => life.status(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

interface Pinned {
  readonly authorityPem: string;
  readonly trust: Trust;
}

/** The keys that this device trusts, from files that came with it and not from the hub. */
async function readPinned({ hub, publisherKeyFiles }: AgentSettings, folder: StateFolder): Promise<Pinned> {
  const keysIn = async (files: readonly string[]) =>
    Promise.all(files.map((file) => readPublicKey(folder.resolve(file))));
  const trust: Trust = {
    logKey: logKeyOf(hub.logKey),
    attestationKeys: await keysIn(hub.attestationKeyFiles),
    publisherKeys: await keysIn(publisherKeyFiles),
    // Cosignatures come after the release; `edgekeep receipt verify` checks for them.
    policy: witnessPolicy([], 0),
  };
  return { authorityPem: await readSettingsFile(folder.resolve(hub.caFile)), trust };
}

function logKeyOf(text: string): VerifierKey {
  try {
    return parseVerifierKey(text);
  } catch (cause) {
    throw new AgentError('settings-invalid', 'hub.logKey is not a verifier key: name+keyid+base64 is expected', {
      cause,
    });
  }
}

async function readPublicKey(path: string): Promise<KeyObject> {
  const text = await readSettingsFile(path);
  try {
    if (text.includes('PRIVATE KEY')) throw new TypeError('it holds a private key');
    return canonicalKey(createPublicKey(text));
  } catch (cause) {
    throw new AgentError('settings-invalid', `${path}: not a public key in PEM`, { cause });
  }
}

async function readSettingsFile(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('settings-invalid', message, { cause });
  });
}

async function stagesOf({ measuredStart }: AgentSettings, folder: StateFolder) {
  return {
    pcr: measuredStart.pcr,
    keys: await Promise.all(measuredStart.keyFiles.map((file) => readPublicKey(folder.resolve(file)))),
    stages: measuredStart.stages.map(({ name, folder: files, signature }) => {
      return { name, folder: folder.resolve(files), signature: folder.resolve(signature) };
    }),
  };
}

function hubAddress({ hub: { host, port, serverName } }: AgentSettings) {
  return { host, port, ...(serverName === undefined ? {} : { serverName }) };
}

/** The first certificate of this run: by enrollment once in the device's life, by recovery ever after. */
async function acquire(
  send: Send,
  identity: IdentityDependencies,
  dependencies: { settings: AgentSettings; folder: StateFolder; signer: NoteSigner; emit: Emit },
): Promise<Answer<Identity>> {
  const { settings, folder, signer, emit } = dependencies;
  if ((await readIfThere(folder.enrolled)) !== undefined) {
    const recovered = await recover(send, identity);
    if (recovered.kind === 'ok') emit({ kind: 'recovered' });
    return recovered;
  }
  const { file: tokenFile, token } = await readToken(settings, folder);
  const enrolled = await enroll(send, identity, {
    token: token === undefined ? undefined : Buffer.from(token).toString('utf8').trim(),
    witnessKey: encodeVerifierKey(verifierKey(signer.name, signer.signer.publicKey, 'cosignature-v1')),
  });
  // If the agent is cut off between the hub's answer and its own record, it returns as a device that the hub knows already.
  const isKnown = enrolled.kind === 'refused' && enrolled.reasons.some(({ code }) => code === 'device-id-taken');
  const answer = isKnown ? await recover(send, identity) : enrolled;
  if (answer.kind === 'refused') return isKnown ? enrolled : answer;
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

function socketPath({ name, socket }: ModelSettings, folder: StateFolder): string {
  return socket === undefined ? join(folder.run, `${name}.sock`) : folder.resolve(socket);
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
    const listener = await GuardListener.open({ socketPath: socketPath(model, folder), loopbackPort });
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
  const pathOf = (path: string | undefined, name: string) =>
    path === undefined ? join(folder.run, name) : folder.resolve(path);
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
  const statusSocket = { kind: 'socket', path: pathOf(local.socket, 'agent.sock'), mode: socketModes.status } as const;
  const adminSocket = {
    kind: 'socket',
    path: pathOf(local.adminSocket, 'admin.sock'),
    mode: socketModes.admin,
  } as const;
  opening.use(await LocalServer.open(statusSocket, status));
  // A connection on the admin socket lasts as long as the program that uses its data.
  opening.use(await LocalServer.open(adminSocket, admin, 0));
  if (local.loopbackPort === undefined) return undefined;
  const loopback = opening.use(await LocalServer.open({ kind: 'loopback', port: local.loopbackPort }, status));
  return loopback.port;
}

async function openWorkloadSockets(
  settings: AgentSettings,
  folder: StateFolder,
  { workloads }: AgentLife,
  opening: AsyncDisposableStack,
): Promise<void> {
  if (workloads === undefined) return;
  for (const { name, socket, socketMode } of settings.workloads) {
    const path = socket === undefined ? join(folder.run, `workload-${name}.sock`) : folder.resolve(socket);
    const where = { kind: 'socket', path, mode: socketModes[socketMode] } as const;
    opening.use(await LocalServer.open(where, workloadApi(workloads, name)));
  }
}
