// For tests: a hub without doors that releases keys of one model to one device with a TPM.
import { sign } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { join } from 'node:path';
import { leaseCounter } from '@edgekeep/core/access/lease-counter';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { fixedKey, testAttester } from '@edgekeep/core/attest/testing';
import { ByteWriter, toBase64url } from '@edgekeep/core/bytes';
import { ecdsaDerToRaw } from '@edgekeep/core/jws';
import type { ReleasePolicy } from '@edgekeep/core/model/release-policy';
import { signerFromKey } from '@edgekeep/core/signer';
import { encodeAttest } from '@edgekeep/core/tpm/testing-attest';
import { encodeTpmSignature } from '@edgekeep/core/tpm/signature';
import { testAppraiser } from '../attest/testing-appraiser.ts';
import { EvidenceFiles } from '../attest/evidence-files.ts';
import type { EvidenceStore } from '../attest/evidence-store.ts';
import { EvidenceKeeper } from '../attest/kept-evidence.ts';
import { ReferenceStore } from '../attest/reference-store.ts';
import { RootKeys } from '../attest/root-keys.ts';
import {
  type TestBoot,
  type TestDevice,
  testReferences,
  testTpmDevice,
  testAttestation,
} from '../attest/testing-device.ts';
import { WitnessPolicies } from '../audit/witness-policy.ts';
import { ArtifactFolder } from '../artifact/artifact-folder.ts';
import { assignModel } from '../model/groups-of-model.ts';
import { addReleaseFile, createRelease, publishRelease } from '../model/releases.ts';
import { Connections, type DeviceConnection } from '../presence/connections.ts';
import { signDocument, signRelease, trustTestPublisher } from '../publisher/testing-publisher.ts';
import { createGroup } from '../registry/groups.ts';
import { addDevices } from '../registry/testing-device.ts';
import { PlatformKey } from '../secrets/platform-key.ts';
import { hubSettingsSchema } from '../settings.ts';
import type { Database } from '../store/database.ts';
import { openTestStore } from '../store/testing-store.ts';
import { CountryTable } from './country-table.ts';
import { DecisionLog } from './decision-log.ts';
import { AccessGate } from './gate.ts';
import { PolicyStore } from './policy-store.ts';
import { releaseKey } from './release.ts';
import { qualifyingDataOf, type ReleaseAsk } from './release-ask.ts';
import { LeaseAlarm } from './release-budget.ts';
import { Traffic } from './traffic.ts';

export const nowMs = 1_800_000_000_000;
export const by = { actor: 'person:ada/desk', nowMs };
export const press = testTpmDevice('press-1', 1);
export const second = testTpmDevice('press-2', 2);
const modelKey = new Uint8Array(32).fill(9);

/** Signs attestation results. */
export const testVerifier = signerFromKey(fixedKey(5_000_000));

/** Runs `onUse` when a key is unwrapped: after the decision, and before it is recorded. */
class WatchedKey extends PlatformKey {
  onUse: () => void = () => {};

  override key(version: number): Uint8Array | undefined {
    this.onUse();
    return super.key(version);
  }
}

/**
 * `belt` 1.0.0 is published and for the group `line`, in which press-1 and press-2 are. `settings` as an operator writes them. Evidence is kept
 * in a folder, or where a test says.
 */
export async function openReleaseHub(settings: object = { lease: { enforcedBy: 'agent' } }, evidence?: EvidenceStore) {
  const store = await openTestStore();
  const { database } = store;
  await trustTestPublisher(database);
  const time = { nowMs };
  const references = new ReferenceStore(database, testAttestation, () => time.nowMs);
  const document = testReferences('1.0.0');
  await references.publish({ document, signature: await signDocument(document), ...by });
  await addDevices(database, press.row, second.row);
  await createGroup(database, { name: 'line', description: '', filter: undefined, ...by });
  const members = [press, second].map(({ id }) => ({ group_name: 'line', device_id: id }));
  await database.write((trx) => trx.insertInto('device_group_member').values(members).execute());
  await assignModel(database, { model: 'belt', add: ['line'], remove: [], ...by });
  const platformKey = new WatchedKey(new Map([[1, new Uint8Array(32).fill(7)]]));
  const publish = async (version: string, atMs = nowMs, releasePolicy?: ReleasePolicy) => {
    const id = { name: 'belt', version, releasePolicy };
    const at = { actor: by.actor, nowMs: atMs };
    await createRelease(database, platformKey, { ...(await signRelease(id)), modelKey, ...at });
    const artifacts = new ArtifactFolder(join(store.folder, 'blobs'));
    await addReleaseFile(database, artifacts, {
      ...id,
      path: 'weights.bin',
      source: Readable.from([Buffer.from('x')]),
    });
    await publishRelease(database, { ...id, ...at });
  };
  await publish('1.0.0');
  const rootKeys = new RootKeys();
  const appraiser = testAppraiser(database, references, { signer: testVerifier, rootKeys });
  const parsed = hubSettingsSchema.parse({ witness: { quorum: 0 }, ...settings });
  const gateParts = await openGateParts(database);
  const gate = new AccessGate(gateParts);
  const leaseAlarm = new LeaseAlarm(database);
  const evidenceFiles = evidence ?? new EvidenceFiles(join(store.folder, 'evidence'));
  const evidenceKeeper = new EvidenceKeeper(database, evidenceFiles, rootKeys);
  // As many others cosigned as a test says.
  const witnesses = { others: 0, cosignersBesides: () => witnesses.others };
  const { roundSeconds: _, ...witness } = parsed.witness;
  const witnessPolicies = await WitnessPolicies.open(database, { ...witness, text: null });
  const kept = { leaseAlarm, evidenceKeeper, witnessPolicies, witnesses };
  const parts = { database, appraiser, rootKeys, gate, platformKey, ...kept, settings: parsed };
  return {
    ...store,
    ...gateParts,
    evidenceFiles,
    /** By which reference values are superseded and run out. */
    time,
    references,
    parts,
    publish,
    async [Symbol.asyncDispose]() {
      await gateParts.decisions[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
export type ReleaseHub = Awaited<ReturnType<typeof openReleaseHub>>;

/** What a gate is made of; its decisions are to be disposed. */
export async function openGateParts(database: Database) {
  return {
    database,
    policies: await PolicyStore.open(database, nowMs),
    connections: new Connections(),
    traffic: new Traffic(),
    countries: await CountryTable.open(database),
    decisions: new DecisionLog(database, 1_000),
  };
}

/** A connection of this device that its root of trust is bound to. */
export function connectionOf(deviceId: string, remoteAddress = '192.0.2.1'): DeviceConnection {
  const certificate = { deviceId, serial: '01', sha256: '1'.repeat(64), notAfterMs: nowMs + 3_600_000 };
  return {
    socket: new QuietSocket(),
    exporter: new Uint8Array(32).fill(3),
    openedAtMs: nowMs,
    remoteAddress,
    certificate,
    workload: undefined,
    bound: true,
    session: undefined,
    challenge: undefined,
    claimed: undefined,
    imaLog: undefined,
  };
}

/** What the gate and presence want of a socket. */
class QuietSocket extends PassThrough {
  setTimeout(): void {}
  setKeepAlive(): void {}
}

export interface TestAsk extends Partial<Omit<ReleaseAsk, 'evidence'>> {
  readonly device?: TestDevice;
  readonly boot?: Partial<TestBoot>;
}

/** Asks for the key of `belt` 1.0.0 as an honest device does. */
export function ask(hub: ReleaseHub, { device = press, boot = {}, ...change }: TestAsk = {}) {
  const nonce = new Uint8Array(32).fill(1);
  const connection = change.connection ?? connectionOf(device.id);
  const asked = {
    deviceId: device.id,
    certificateSha256: '1'.repeat(64),
    model: 'belt',
    version: '1.0.0',
    nonce,
    askedMs: nowMs,
    connection,
    readsSaltedEntries: true,
    receiptVersion: 2,
    nowMs,
    ...change,
  } as const;
  const evidence = device.evidence({ qualifyingData: qualifyingDataOf(asked), ...boot });
  return releaseKey(hub.parts, { ...asked, evidence });
}

/** What the TPM of `press` says of its lease counter, over the same ask. */
export function signedLeaseCounter(value: bigint, resetCount = 7) {
  const { key, privateKey } = testAttester(fixedKey(1));
  const attest = encodeAttest({
    kind: 'nv',
    qualifiedSigner: key.qualifiedName ?? new Uint8Array(0),
    extraData: qualifyingData('release', new Uint8Array(32).fill(1), new Uint8Array(32).fill(3)),
    clockInfo: { clock: 86_400_000n, resetCount, restartCount: 0, safe: true },
    firmwareVersion: 1n,
    indexName: leaseCounter.name,
    offset: 0,
    contents: new ByteWriter().u64(value).finish(),
  });
  const raw = ecdsaDerToRaw(sign('sha256', attest, privateKey), 32);
  const signature = encodeTpmSignature({ kind: 'ecdsa', hash: 'sha256', r: raw.subarray(0, 32), s: raw.subarray(32) });
  return { attest: toBase64url(attest), signature: toBase64url(signature) };
}
