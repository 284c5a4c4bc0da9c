// What a device has before it speaks to its hub: its state folder, its root of trust, its measured start, the keys it trusts, and what it
// remembers.
import { messageOf } from '@edgekeep/core/message-of';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { always, alwaysLog, alwaysPublisher, type Trust, type TrustedLog } from '@edgekeep/core/access/trust';
import { parseVerifierKey, type VerifierKey } from '@edgekeep/core/audit/note';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import { canonicalKey } from '@edgekeep/core/identity/public-key';
import { kernelBootId } from '@edgekeep/hardware/boot/boot-id';
import { type PublisherKey, readPublisherKeyPem } from '@edgekeep/core/model/signature/publisher-key';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { Prover } from './attest/attest.ts';
import { Witness } from './hub/witness.ts';
import { DesiredStore } from './hub/desired.ts';
import { AgentError } from './error.ts';
import { type Emit, type TimedEvent } from './event.ts';
import { type GuardHost } from './guard/host.ts';
import { removeLeftDoors } from './guard/doors.ts';
import { measureStages } from './attest/measured-start.ts';
import { ModelFaults } from './model/model-faults.ts';
import { ModelStore } from './model/model-store.ts';
import { type Machine } from './model/readiness.ts';
import { reportEvidence } from './attest/absent-log.ts';
import { assertOwnTpm, onceEach, reportTpm } from './attest/tpm-report.ts';
import { chooseStagePcr, foreignStart } from './attest/stage-pcr.ts';
import { alone, imaLogFile, laterMeasurements, openBootLog, openRootOfTrust } from './attest/root-of-trust.ts';
import type { AgentSettings } from './settings.ts';
import { KeptState } from './kept-state.ts';
import { openStateFolder, readIfThere, type StateFolder } from './state-folder.ts';
import { assertSocketPaths } from './socket-paths.ts';
import { StateLock } from './state-lock.ts';
import { KnownKeys } from './hub/known-keys.ts';
import { KnownRoots } from './hub/known-roots.ts';
import { HighestVersions } from './model/versions.ts';
import { HybridKey } from './hub/hybrid-key.ts';
import { StateRecovery } from './state-recovery.ts';
import { openWitnessKeys, type WitnessKeys } from './hub/witness-key.ts';
import { chooseProxy } from './hub/proxy.ts';

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

/** Opens what the device has: its state folder, its root of trust, its measured start, and what it remembers. */
export async function openDevice(
  settings: AgentSettings,
  options: AgentOptions,
  emit: Emit,
  opening: AsyncDisposableStack,
) {
  const { deviceId } = settings;
  const folder = await openStateFolder(settings);
  assertSocketPaths(settings, folder);
  // Before the root of trust is used or the boot log grows.
  opening.use(await StateLock.take(folder.run));
  await removeLeftDoors(folder.run);
  const pinned = await readPinned(settings, folder);
  const kept = new KeptState({ isEnrolled: (await readIfThere(folder.enrolled)) !== undefined, emit });
  const bootId = options.bootId ?? (await kernelBootId());
  const opened = options.rootOfTrust ? alone(options.rootOfTrust) : await openRootOfTrust(settings, folder, bootId);
  const { rootOfTrust, byKeys } = opened;
  if (options.rootOfTrust === undefined) opening.use(rootOfTrust);
  // Before anything is measured or signed.
  await assertOwnTpm(folder, rootOfTrust, kept);
  emit({ kind: 'started', deviceId, tier: rootOfTrust.tier });
  const later = laterMeasurements(settings, folder, rootOfTrust);
  await reportTpm(opened.condition, folder, emit);
  const { bootLog, firmwareLog } = await openBootLog(settings, folder, bootId, rootOfTrust, later);
  await reportEvidence(bootLog, firmwareLog, rootOfTrust, emit);
  const pcr = await chooseStagePcr(settings.measuredStart.pcr, folder.stagePcr, bootLog.bytes);
  const foreign = await foreignStart({ pcr, log: bootLog.bytes, rootOfTrust }, emit);
  const verdict = foreign ?? (await measureStages(bootLog, await stagesOf(settings, folder, pcr), emit));
  const measured = { eventLog: () => bootLog.bytes, imaLogFile: imaLogFile(settings, folder), later };
  const prover = new Prover({ rootOfTrust, ...measured, onCounterMissing: onceEach(emit) });
  const roots = await KnownRoots.open(folder.knownRoots, pinned.authorityPem, kept);
  const keys = await KnownKeys.open(folder.knownKeys, pinned.trust, roots.all, kept);
  const { logKey } = pinned;
  const witnessKeys = await openWitnessKeys(settings, folder, `${logKey.name}/${deviceId}`, kept);
  const hybridKey = await HybridKey.open(folder.hybridKey, rootOfTrust, kept);
  const remembered = await openMemory(folder, () => keys.logs, { witnessKeys, kept });
  const identity = { deviceId, hub: logKey.name, rootOfTrust, prover };
  return {
    ...remembered,
    folder,
    pinned,
    rootOfTrust,
    byKeys,
    verdict,
    prover,
    signer: witnessKeys.signer,
    hybridKey,
    stateRecovery: new StateRecovery({ ...remembered, ...identity, witnessKeys, kept, folder, emit }),
    store: new ModelStore(folder.models),
    faults: await ModelFaults.open(
      folder.modelFaults,
      settings.models.map(({ name }) => name),
    ),
    desired: await DesiredStore.open(folder.desired),
    roots,
    keys,
    proxy: chooseProxy(settings, folder, emit),
  };
}

/** What this device saw of its log, and the versions that it served. */
async function openMemory(
  { checkpoint: checkpointFile, forkProof: forkProofFile, logEnd: endFile, versions }: StateFolder,
  logs: () => readonly TrustedLog[],
  { witnessKeys: { signer }, kept }: { readonly witnessKeys: WitnessKeys; readonly kept: KeptState },
) {
  return {
    witness: await Witness.open({ logs, signer, checkpointFile, forkProofFile, endFile, kept }),
    versions: await HighestVersions.open(versions, kept),
  };
}

export type Device = Awaited<ReturnType<typeof openDevice>>;

interface Pinned {
  readonly authorityPem: string;
  /** Of the hub's log when this device was delivered. */
  readonly logKey: VerifierKey;
  readonly trust: Trust;
}

/** The keys that this device trusts, from files that came with it and not from the hub. */
async function readPinned({ hub, publisherKeyFiles }: AgentSettings, folder: StateFolder): Promise<Pinned> {
  const keysIn = async (files: readonly string[]) =>
    Promise.all(files.map((file) => readPublicKey(folder.resolve(file))));
  const logKey = logKeyOf(hub.logKey);
  const trust: Trust = {
    logs: [alwaysLog(logKey)],
    attestationKeys: (await keysIn(hub.attestationKeyFiles)).map(always),
    publisherKeys: (
      await Promise.all(publisherKeyFiles.map(async (file) => readPublisherKey(folder.resolve(file))))
    ).map(alwaysPublisher),
    // Cosignatures come after the release; `edgekeep receipt verify` checks for them.
    policy: witnessPolicy([], 0),
  };
  return { authorityPem: await readSettingsFile(folder.resolve(hub.caFile)), logKey, trust };
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
  return readPublic(path, (text) => canonicalKey(createPublicKey(text)));
}

async function readPublisherKey(path: string): Promise<PublisherKey> {
  return readPublic(path, readPublisherKeyPem);
}

async function readPublic<T>(path: string, parse: (text: string) => T): Promise<T> {
  const text = await readSettingsFile(path);
  try {
    if (text.includes('PRIVATE KEY')) throw new TypeError('it holds a private key');
    return parse(text);
  } catch (cause) {
    throw new AgentError('settings-invalid', `${path}: not a public key in PEM`, { cause });
  }
}

async function readSettingsFile(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    const message = messageOf(cause);
    throw new AgentError('settings-invalid', message, { cause });
  });
}

async function stagesOf({ measuredStart }: AgentSettings, folder: StateFolder, pcr: number) {
  return {
    pcr,
    keys: await Promise.all(measuredStart.keyFiles.map((file) => readPublicKey(folder.resolve(file)))),
    stages: measuredStart.stages.map(({ name, folder: files, signature }) => {
      return { name, folder: folder.resolve(files), signature: folder.resolve(signature) };
    }),
  };
}
