// Makes a hub with a whole fleet in its store: a trusted publisher, a published model, reference values, and devices with certificates of
// the hub's own CA. What enrollment would have written is written directly; ten thousand live enrollments are not what is measured.
import { PolicyStore } from '@edgekeep/hub/access/policy-store';
import { everyAttestedTpmPolicyText } from '@edgekeep/core/policy/built-in';
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { encodeReferenceValues, referenceValuesFromLog } from '@edgekeep/core/attest/reference-values';
import { cryptoAgileLog, longBoot, testAttester, testEvent } from '@edgekeep/core/attest/testing';
import { encodeVerifierKey, verifierKey } from '@edgekeep/core/audit/note';
import { toBase64url, toHex } from '@edgekeep/core/bytes';
import { encodePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { encodeManifest, manifestDigest, manifestPath } from '@edgekeep/core/model/manifest';
import { sealFile } from '@edgekeep/core/model/sealed-file';
import { signModel } from '@edgekeep/core/model/signature/sign';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { digest } from '@edgekeep/core/tpm/algorithm';
import { encodeSizedPublic, type TpmPublic } from '@edgekeep/core/tpm/public-area';
import { XWING_SEED_LENGTH, xwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import { endorsementTemplate } from '@edgekeep/core/tpm/template';
import { ReferenceStore } from '@edgekeep/hub/attest/reference-store';
import { Authorities } from '@edgekeep/hub/authority/authorities';
import { issueDeviceCertificate, recordCertificate } from '@edgekeep/hub/authority/issue';
import { initHub } from '@edgekeep/hub/commands/init';
import { type HubKeys, loadHubKeys } from '@edgekeep/hub/secrets/hub-keys';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import { ArtifactFolder } from '@edgekeep/hub/artifact/artifact-folder';
import { trustPublisher } from '@edgekeep/hub/publisher/publishers';
import { addReleaseFile, createRelease, publishRelease } from '@edgekeep/hub/model/releases';
import { setHybridKey } from '@edgekeep/hub/registry/hybrid-keys';
import { type HubSettings, hubSettingsSchema } from '@edgekeep/hub/settings';
import { Database } from '@edgekeep/hub/store/database';
import { placeOfStore } from '@edgekeep/hub/store/place-of-store';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';
import type { FleetFile, Member } from './member.ts';

const eventsInLog = 80;
/** Machine models in the fleet: each boots its own log, and has reference values of its own. */
const machineModels = 4;
const model = { name: 'surface', version: '1.0.0' } as const;
/** Devices written in one transaction. */
const insertsAtOnce = 250;

// The whole fleet comes from the address of this machine.
const fromOneAddress = {
  maxAnonymousRequestsPerSecond: 100_000,
  admission: { maxAnonymousBytesPerSecond: 1_000_000_000, maxAnonymousConnections: 100_000 },
};

export interface Fleet {
  /** The hub's data folder. */
  readonly folder: string;
  /** For the process that plays the devices (member.ts, `FleetFile`). */
  readonly file: string;
  readonly operatorToken: string;
}

/** With a `devicePort` the hub has the same port at every start; else it takes a free one. `storeUrl` is a database of PostgreSQL; left out: SQLite. */
export async function makeFleet(folder: string, count: number, devicePort = 0, storeUrl = 'sqlite'): Promise<Fleet> {
  const nowMs = Date.now();
  // No device cosigns here, so the quorum is 0: receipts rest on the log's own signature.
  const witness = { quorum: 0 };
  // Simulated devices keep no lease counter.
  const lease = { enforcedBy: 'agent', maxPerWindow: 1_000_000 };
  const free = { port: 0 };
  const device = { port: devicePort };
  const settings = hubSettingsSchema.parse({
    store: { url: storeUrl },
    device,
    operator: free,
    witness,
    lease,
    logLevel: 'silent',
    // Its devices are one process, and wait for it longer than real ones for their TPMs.
    alerts: { proofSlackMilliseconds: 600_000 },
    ...fromOneAddress,
  });
  await mkdir(folder, { recursive: true });
  const { operatorFile } = await initHub(folder, { rootFolder: join(folder, 'root'), settings, nowMs });
  const { token }: { readonly token: string } = JSON.parse(await readFile(operatorFile, 'utf8'));
  const keys = await loadHubKeys(folder);
  await using database = await Database.open(placeOfStore(folder, settings));
  const keyStore = plainKeys(join(folder, 'keys'));
  const authorities = await Authorities.open(folder, { database, keyStore, clock: () => nowMs });
  const publisher = signerFromKey(newKey());
  const publicKey = publisher.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  await trustPublisher(database, { name: 'bench', publicKey, actor: 'bench', nowMs });
  await publishModel(database, new ArtifactFolder(join(folder, 'blobs')), { keys, publisher, nowMs });
  const boots = Array.from({ length: machineModels }, (_, at) => bootLog(at));
  await publishReferenceValues(database, { boots, publisher, settings, nowMs });
  await PolicyStore.replace(database, { text: everyAttestedTpmPolicyText, actor: 'bench', nowMs });
  const members: Member[] = [];
  while (members.length < count) {
    const batch = Array.from(
      { length: Math.min(insertsAtOnce, count - members.length) },
      (_, at) => members.length + at,
    );
    members.push(
      ...(await Promise.all(batch.map((number) => addDevice(database, { authorities, settings, number, nowMs })))),
    );
  }
  const fleet: FleetFile = {
    root: encodePem('CERTIFICATE', authorities.root.der),
    serverName: settings.names[0] ?? 'localhost',
    logOrigin: settings.logOrigin,
    attestationKey: keys.attestationSigner.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    pcrs: settings.pcrs,
    model,
    boots: boots.map((boot) => Buffer.from(boot).toString('base64')),
    members,
  };
  const file = join(folder, 'fleet.json');
  await writeFile(file, JSON.stringify(fleet));
  return { folder, file, operatorToken: token };
}

/** 80 events in three banks, as firmware writes them; the kernel differs between machine models. */
function bootLog(machine: number): Uint8Array {
  const events = [...longBoot(eventsInLog - 1), testEvent(9, 0xd, `kernel for machine model ${machine}\0`)];
  return cryptoAgileLog(events, ['sha1', 'sha256', 'sha384']);
}

interface PublishReferences {
  readonly boots: readonly Uint8Array[];
  readonly publisher: Signer;
  readonly settings: HubSettings;
  readonly nowMs: number;
}

async function publishReferenceValues(database: Database, order: PublishReferences): Promise<void> {
  const { boots, publisher, settings, nowMs } = order;
  const store = new ReferenceStore(database, settings, () => nowMs);
  for (const [machine, boot] of boots.entries()) {
    const values = referenceValuesFromLog(parseEventLog(boot), settings.pcrs, `machine-${machine}`, '1.0.0');
    const document = encodeReferenceValues(values);
    const signature = await signed(publisher, 'reference-values.json', [{ path: '.', digest: sha256Hex(document) }]);
    await store.publish({ document, signature, actor: 'bench', nowMs });
  }
}

async function publishModel(
  database: Database,
  artifacts: ArtifactFolder,
  { keys, publisher, nowMs }: { readonly keys: HubKeys; readonly publisher: Signer; readonly nowMs: number },
): Promise<void> {
  const plaintext = randomBytes(64 * 1024);
  const path = 'model.onnx';
  const sha256 = sha256Hex(plaintext);
  const file = { path, role: 'primary', mediaType: 'application/onnx', size: plaintext.length, sha256 } as const;
  const manifest = encodeManifest({ type: 'edgekeep-model-manifest/v1', ...model, files: [file] });
  const resources = [
    { path: manifestPath, digest: toHex(manifestDigest(manifest)) },
    { path, digest: sha256 },
  ];
  const modelKey = randomBytes(32);
  const signature = await signed(publisher, model.name, resources);
  await createRelease(database, keys.platformKey, { manifest, signature, modelKey, actor: 'bench', nowMs });
  const binding = { manifestDigest: manifestDigest(manifest), path };
  const sealed = sealFile(Readable.from([plaintext]), modelKey, binding, { randomBytes });
  const chunks: Uint8Array[] = [];
  for await (const chunk of sealed) chunks.push(Uint8Array.from(chunk));
  await addReleaseFile(database, artifacts, { ...model, path, source: Readable.from(chunks, { objectMode: false }) });
  await publishRelease(database, { ...model, actor: 'bench', nowMs });
}

async function signed(
  signer: Signer,
  name: string,
  resources: readonly { readonly path: string; readonly digest: string }[],
): Promise<string> {
  const serialization = { hash: 'sha256', shardSize: undefined, allowSymlinks: false, ignorePaths: [] } as const;
  const whole = resources.map((resource) => ({ ...resource, range: undefined }));
  return Buffer.from(await signModel({ name, serialization, resources: whole }, signer)).toString('utf8');
}

interface DeviceOrder {
  readonly authorities: Authorities;
  readonly settings: HubSettings;
  readonly number: number;
  readonly nowMs: number;
}

async function addDevice(database: Database, { authorities, settings, number, nowMs }: DeviceOrder): Promise<Member> {
  const id = `press-${number}`;
  const attestation = newKey();
  const operational = newKey();
  const endorsement = endorsementKey();
  const certificate = await issueDeviceCertificate(authorities, {
    deviceId: id,
    spki: encodeSpki(signerFromKey(operational).publicKey),
    nowMs,
    lifeSeconds: settings.certificateSeconds,
  });
  const identity: DeviceIdentity = {
    kind: 'tpm',
    endorsementKey: toBase64url(encodeSizedPublic(endorsement)),
    endorsementKeyKind: 'rsa-2048',
    // Read at enrollment only; a certificate of a TPM vendor has about this many bytes.
    endorsementCertificates: [toBase64url(randomBytes(1_100))],
    attestationKey: toBase64url(encodeSizedPublic(testAttester(attestation).publicArea)),
  };
  const witness = generateKeyPairSync('ed25519').publicKey;
  await database.write(async (trx) => {
    await trx
      .insertInto('device')
      .values({
        id,
        tier: 'tpm',
        state: 'registered',
        state_reason: 'enrolled',
        identity: JSON.stringify(identity),
        root_sha256: toHex(digest('sha256', encodeSizedPublic(endorsement))),
        witness_key: encodeVerifierKey(verifierKey(`edgekeep.local/device/${id}`, witness, 'cosignature-v1')),
        enrolled_at: nowMs,
        seen_at: nowMs,
        reset_count: -1,
        appraisal: null,
        appraised_at: null,
        counts: null,
      })
      .execute();
    await recordCertificate(trx, certificate, id);
    // As every agent of this version has one.
    await setHybridKey(trx, { deviceId: id, publicKey: xwingPublicKey(randomBytes(XWING_SEED_LENGTH)), nowMs });
  });
  return {
    id,
    attestationKey: attestation.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    endorsementKey: identity.endorsementKey,
    tlsKey: operational.export({ type: 'pkcs8', format: 'pem' }).toString(),
    tlsChain: authorities.chainPem(certificate),
    boot: number % machineModels,
  };
}

// A modulus whose factors nobody knows: wrapping under it costs the same as for any device, and nobody here unwraps. Making ten thousand
// real RSA keys would take a quarter of an hour. All devices have different ones, so no cache can gain from it.
function endorsementKey(): TpmPublic {
  const { template } = endorsementTemplate('rsa-2048');
  if (template.kind !== 'rsa') throw new Error('expected the RSA template');
  const modulus = randomBytes(256);
  modulus[0] = (modulus[0] ?? 0) | 0x80;
  modulus[255] = (modulus[255] ?? 0) | 1;
  return { ...template, modulus };
}

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
}

function sha256Hex(bytes: Uint8Array): string {
  return toHex(digest('sha256', bytes));
}
