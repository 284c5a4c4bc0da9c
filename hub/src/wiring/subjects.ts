// The wiring of a running hub: which subjects there are, in the order of their dependencies, and the few things each takes. Nothing below this
// file sees more than one subject's own things.
import { join } from 'node:path';
import { sha256Hex } from '@edgekeep/core/digest';
import { type Access, openAccess } from '../access/open.ts';
import { type Addresses, openAddresses } from '../address/open.ts';
import { type Artifacts, openArtifacts, type OpenBucket } from '../artifact/open.ts';
import type { Assembly } from './assembly.ts';
import { type Attestation, openAttestation } from '../attest/open.ts';
import { EvidenceFiles } from '../attest/evidence-files.ts';
import { EvidenceObjects } from '../attest/evidence-objects.ts';
import type { EvidenceStore } from '../attest/evidence-store.ts';
import { type EvidenceSubject, openEvidence } from '../attest/open-evidence.ts';
import { RootKeys } from '../attest/root-keys.ts';
import { appendEntry } from '../audit/append.ts';
import { type Audit, openAudit } from '../audit/open.ts';
import { adopted, adoption, findState, type FoundState } from '../audit/security-state.ts';
import { hasStateEntries } from '../audit/state-check.ts';
import { HubKeyRing, readHubKey } from '../authority/hub-key-ring.ts';
import { type AuthoritySubject, openAuthority } from '../authority/open.ts';
import { type Clock, timeEpochs } from '../common/clock.ts';
import { openBucket } from '../doors/bucket/open-bucket.ts';
import { DeviceDoor } from '../doors/device/door.ts';
import { Admission } from '../doors/http/admission.ts';
import { registerAdmissionMetrics } from '../doors/http/admission-metric.ts';
import { openOperatorDoor, type OperatorDoor } from '../doors/operator/open.ts';
import { type Events, openEvents } from '../event/open.ts';
import { deviceSecrets } from '../enrollment/token-device.ts';
import { hubClock } from '../health/hub-clock.ts';
import { createMetrics, type Metrics } from '../health/metrics.ts';
import { storeWatch } from '../health/store-watch.ts';
import { accessRechecks } from '../jobs/access-rechecks.ts';
import { PlatformKeyRoll } from '../jobs/platform-key-roll-over.ts';
import { endedPublishersJob } from '../model/ended-publishers.ts';
import { unnamedFiles } from '../model/unnamed-files.ts';
import { modelKeys } from '../model/key-wrap.ts';
import { Connections } from '../presence/connections.ts';
import { Presence } from '../presence/presence.ts';
import { openNode, type NodeSubject } from '../node/open.ts';
import { CloneWatch } from '../respond/clone-watch.ts';
import { witnessOnly } from '../revocation/store.ts';
import { UnknownMakers } from '../enrollment/unknown-makers.ts';
import { RevocationWatch } from '../revocation/watch.ts';
import { takeLogPostQuantumSigner } from '../secrets/hub-keys.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import { openSecrets, type Secrets } from '../secrets/open.ts';
import type { HubSettings } from '../settings.ts';
import { openNodes } from './nodes.ts';
import { openState, type StateWatch } from './state.ts';
import { EventStreams } from '../doors/operator/event-stream.ts';
import { sendSyslog } from '../doors/public/syslog-client.ts';
import { webhookClient } from '../doors/public/webhook-client.ts';
import { postToWitness } from '../doors/public/witness-client.ts';
import { PublicWitnesses } from '../jobs/public-witnesses.ts';
import { ReleaseQuorums } from '../model/release-quorums.ts';
import { Database } from '../store/database.ts';
import { assertNotEmptied } from '../store/emptied.ts';
import type { StorePlace } from '../store/engine/place.ts';
import { placeOfStore } from '../store/place-of-store.ts';
import { settleMove } from '../audit/moved-store.ts';
import { HubTime } from '../store/hub-time.ts';
import { openSyslog } from '../syslog/open.ts';
import { openWebhooks, type Webhooks } from '../webhook/open.ts';
import { webhookSecrets } from '../webhook/secrets.ts';
import { openVendorRoots, type VendorRootSubject } from '../vendor-root/open.ts';

/** What every subject may use: its record, its secrets, its time. */
export interface Ledger extends StateWatch {
  readonly folder: string;
  readonly settings: HubSettings;
  readonly time: HubTime;
  /** That of `time`. */
  readonly clock: Clock;
  readonly secrets: Secrets;
  readonly database: Database;
  readonly audit: Audit;
  /** Undefined on SQLite, where a hub has one process. */
  readonly node: NodeSubject | undefined;
}

/** Every subject of a hub, in three groups. */
export interface Subjects {
  readonly ledger: Ledger;
  readonly fleet: FleetSubjects;
  readonly doors: DoorSubjects;
}

/** Opens the subjects of an initialised data folder in the order of their dependencies. Takes over `keyStore`. */
export async function openSubjects(
  hub: Assembly,
  folder: string,
  given: Pick<Ledger, 'settings' | 'clock'>,
  keyStore: KeyStore,
): Promise<Subjects> {
  const ledger = await openLedger(hub, folder, given, keyStore);
  const fleet = await openFleet(hub, ledger);
  ledger.node?.report({ logSize: () => ledger.audit.log.size, connections: () => fleet.connections.count });
  return { ledger, fleet, doors: await openDoors(hub, ledger, fleet) };
}

async function openLedger(
  hub: Assembly,
  folder: string,
  { settings, clock: system }: Pick<Ledger, 'settings' | 'clock'>,
  keyStore: KeyStore,
): Promise<Ledger> {
  const place = placeOfStore(folder, settings);
  await assertNotEmptied(place);
  await settleMove(folder, settings, system());
  const starting = await openNode(folder, place, keyStore, system);
  const secrets = hub.use(await openSecrets(folder, starting.keyStore, () => hasStateEntries(place)));
  const pagesThread = new URL('../doors/operator/pages-thread.ts', import.meta.url);
  const { before, database } = await openFound(place, secrets.keys.stateKey, {
    thread: pagesThread,
    system,
    alone: !starting.isShared,
  });
  hub.use(database);
  const node = starting.enter === undefined ? undefined : hub.use(await starting.enter(database, settings));
  const found = await adopted(before);
  const { maxBehindSeconds } = settings.hubClock;
  const time = await HubTime.open(database.read, { system, maxBehindSeconds });
  database.assertMayWrite = () => time.assertRight();
  hub.use(hubClock(database, time, node?.name));
  hub.use(storeWatch(database, time.now, node?.name));
  const readFrom = before.verdict.kind === 'compared' ? before.verdict.whole : 0;
  const postQuantum = settings.logPostQuantum ? await takeLogPostQuantumSigner(secrets.keyStore) : undefined;
  const signerOf = (spki: Uint8Array) => readHubKey(secrets.keyStore, { id: sha256Hex(spki), purpose: 'log' });
  const first = { signer: secrets.keys.logSigner, postQuantum: postQuantum?.signer };
  const start = { folder, readFrom, publishers: new ReleaseQuorums(database.read), clock: time.now };
  const audit = hub.use(await openAudit(database, start, settings, { first, signerOf }));
  if (postQuantum?.made === true) await logSecondKey(database, settings.logOrigin, time.now());
  const { pollMilliseconds } = settings.revocation;
  if (node !== undefined)
    await openNodes(hub, { database, log: audit.log, pollMilliseconds, id: `${node.id}.${node.process}` });
  const state = await openState(hub, { database, found, settings, clock: time.now, log: audit.log });
  await starting.shareKeys?.(database);
  return { folder, settings, time, clock: time.now, secrets, database, audit, node, ...state };
}

/** Compares before anything enters the log: entries that somebody added to a stopped store must not get a checkpoint. */
async function openFound(
  place: StorePlace,
  key: Uint8Array,
  { thread, system, alone }: { readonly thread: URL; readonly system: Clock; readonly alone: boolean },
) {
  if (!alone) {
    const before = await findState(place, key);
    return { before, database: await Database.open(place, 'required', thread, adoption(before, system)) };
  }
  // A hub that ends at this moment still writes.
  const found = Promise.withResolvers<FoundState>();
  const database = await Database.openAlone(place, { authority: 'required', thread }, async () => {
    const before = await findState(place, key);
    found.resolve(before);
    return adoption(before, system);
  });
  return { before: await found.promise, database };
}

async function logSecondKey(database: Database, origin: string, at: number): Promise<void> {
  const entry = { at, kind: 'log-key-added', actor: 'hub', subject: `log:${origin}`, data: { algorithm: 'ml-dsa-44' } };
  await database.writeAsHub((trx) => appendEntry(trx, entry));
}

/** The devices that are connected, and what cuts them off. */
export interface FleetSubjects {
  readonly connections: Connections;
  readonly vendorRoots: VendorRootSubject;
  /** Undefined where no alert is wanted. */
  readonly unknownMakers: UnknownMakers | undefined;
  readonly access: Access;
  readonly watch: RevocationWatch;
  readonly presence: Presence;
  readonly cloneWatch: CloneWatch;
}

async function openFleet(hub: Assembly, { folder, settings, clock, database, audit }: Ledger): Promise<FleetSubjects> {
  const { witnesses } = audit;
  const connections = new Connections(settings.admission.maxAnonymousConnections);
  const vendorRoots = hub.use(await openVendorRoots(database, folder, settings.vendorRoots, clock));
  const unknownMakers = settings.alerts.unknownMakers ? hub.use(new UnknownMakers(database, clock)) : undefined;
  const access = hub.use(await openAccess(database, connections, settings.access, clock));
  const rechecks = hub.scheduler.add(accessRechecks(access.gate, clock, settings.access.recheckSeconds));
  access.onPolicy(() => rechecks.soon());
  const cut = ({ deviceId, serial }: { readonly deviceId: string; readonly serial: string | undefined }): void => {
    if (serial === undefined || serial === witnessOnly) witnesses.remove(deviceId);
    if (serial !== witnessOnly) connections.cut(deviceId, serial);
  };
  const { pollMilliseconds } = settings.revocation;
  const watch = hub.use(await RevocationWatch.start(database, cut, pollMilliseconds, hub.reload));
  const fleet = { database, connections, witnesses, watch, clock };
  const presence = hub.use(await Presence.start({ ...fleet, settings: settings.identity }));
  connections.onContested = presence.contested;
  const cloneWatch = hub.use(new CloneWatch({ ...fleet, rule: settings.identity.onClone }));
  return { connections, vendorRoots, unknownMakers, access, watch, presence, cloneWatch };
}

/** What is too large for the store. */
interface FileSubjects {
  readonly artifacts: Artifacts;
  readonly evidence: EvidenceSubject;
}

/** How others learn what happens. */
interface Notifications {
  readonly events: Events;
  readonly webhooks: Webhooks;
  readonly streams: EventStreams;
}

/** What people and monitoring see of the hub, and what its doors rest on. */
interface DoorSubjects {
  readonly attestation: Attestation;
  readonly files: FileSubjects;
  readonly authority: AuthoritySubject;
  readonly keyRing: HubKeyRing;
  readonly platformKeyRoll: PlatformKeyRoll;
  readonly publicWitnesses: PublicWitnesses;
  readonly notifications: Notifications;
  readonly metrics: Metrics;
  readonly addresses: Addresses;
  readonly admission: Admission;
  readonly device: DeviceDoor;
  readonly operator: OperatorDoor;
}

function addressSettings({ admission, device, operator, estForGateways: est }: HubSettings) {
  const from = ({ proxyProtocol }: HubSettings['device']) => proxyProtocol.from;
  return { ...admission, balancers: { device: from(device), operator: from(operator), est: from(est) } };
}

/** Signed requests carry the machine's own time: the hub's may be held back. */
function bucketOf({ folder, settings: { artifacts }, time }: Ledger): OpenBucket | undefined {
  return artifacts.kind === 'folder' ? undefined : (ended) => openBucket(folder, artifacts, time.machine, ended);
}

function evidenceStore({ folder, clock }: Ledger, { shared }: Artifacts): EvidenceStore {
  if (shared === undefined) return new EvidenceFiles(join(folder, 'evidence'));
  return new EvidenceObjects(shared.bucket, clock, shared.onFault);
}

async function openDoors(hub: Assembly, ledger: Ledger, fleet: FleetSubjects): Promise<DoorSubjects> {
  const { folder, settings, clock, secrets, database, audit } = ledger;
  const { connections, access, watch, vendorRoots } = fleet;
  const { keys, keyStore } = secrets;
  const artifacts = hub.use(await openArtifacts(database, folder, clock, bucketOf(ledger)));
  const rootKeys = new RootKeys();
  const store = evidenceStore(ledger, artifacts);
  const evidence = hub.use(openEvidence({ database, rootKeys }, store, settings.evidence, clock, hub.scheduler.add));
  const machineClock = ledger.time.machine;
  const authority = hub.use(await openAuthority(folder, { database, keyStore, watch, machineClock }, settings, clock));
  const { logOrigin } = settings;
  const keyRing = hub.use(await HubKeyRing.open(folder, { database, keyStore, keys, logOrigin, clock }));
  const signing = { signing: keyRing.attestation, epoch: timeEpochs(clock) };
  const attestation = hub.use(openAttestation(ledger, { vendorRoots: vendorRoots.roots, rootKeys }, signing));
  hub.scheduler.add(endedPublishersJob(database, clock));
  hub.scheduler.add(unnamedFiles({ database, artifacts: artifacts.store, clock }));
  const asking = { database, witnesses: audit.witnesses, post: postToWitness, settings, clock };
  const publicWitnesses = hub.use(new PublicWitnesses(asking));
  const events = hub.use(openEvents(database, settings.events, clock, hub.scheduler.add));
  const post = webhookClient({ permitted: settings.webhooks.privateNetworks });
  const sending = { database, platformKey: keys.platformKey, post, clock };
  openSyslog(database, settings, sendSyslog, events);
  const webhooks = hub.use(openWebhooks(sending, settings, events));
  const rolled = { platformKey: keys.platformKey, secrets: [modelKeys, deviceSecrets, webhookSecrets] };
  const nodeWatch = ledger.node?.watch;
  const assertKeysUsed = nodeWatch && ((signal: AbortSignal) => nodeWatch.assertKeysUsed(signal));
  const roll = { database, keyStore, ...rolled, clock, addJob: hub.scheduler.add, assertKeysUsed };
  const platformKeyRoll = hub.use(new PlatformKeyRoll(roll));
  nodeWatch?.followKeys(() => platformKeyRoll.follow());
  const metrics = createMetrics(hub.registry, { connections, log: audit.log, database });
  const addresses = hub.use(
    await openAddresses(database, addressSettings(settings), clock, (listener, code) =>
      metrics.countRefused(listener, code),
    ),
  );
  const admission = new Admission(settings, clock);
  registerAdmissionMetrics(hub.registry, admission);
  const { traffic } = access.facts;
  const device = new DeviceDoor(connections, authority.authorities, clock, traffic, admission, settings);
  const operator = hub.use(openOperatorDoor(database, access, admission, { settings, clock }));
  return {
    attestation,
    files: { artifacts, evidence },
    authority,
    keyRing,
    publicWitnesses,
    notifications: { events, webhooks, streams: hub.use(new EventStreams()) },
    platformKeyRoll,
    metrics,
    addresses,
    admission,
    device,
    operator,
  };
}
