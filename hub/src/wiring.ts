// The wiring of a running hub, opened from its data folder in the order of dependencies. The two listeners get all of it and give each
// subject only what it uses; no subject sees the whole.
import { join } from 'node:path';
import { toHex } from '@edgekeep/core/bytes';
import { encodeSpki, keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { ApprovedRequests } from './people/approved-requests.ts';
import { CountryTable } from './access/country-table.ts';
import { DecisionLog } from './access/decision-log.ts';
import { AccessGate } from './access/gate.ts';
import { PolicyStore } from './access/policy-store.ts';
import { Receipts } from './access/receipts.ts';
import { accessRechecks } from './jobs/access-rechecks.ts';
import { registerJobMetrics } from './jobs/metric.ts';
import { Scheduler } from './jobs/scheduler.ts';
import { Traffic } from './access/traffic.ts';
import type { DeviceListenerParts } from './doors/device/listener.ts';
import type { OperatorListenerParts } from './doors/operator/listener.ts';
import { TwoPeople } from './doors/operator/two-people.ts';
import { Appraiser } from './attest/appraiser.ts';
import { ReferenceStore } from './attest/reference-store.ts';
import { AuditLog } from './audit/log.ts';
import { checkpointsIn, entriesIn } from './audit/store-source.ts';
import { WitnessBoard } from './audit/witness.ts';
import { Authorities } from './authority/authorities.ts';
import { registerExpiryMetric } from './authority/expiry-metric.ts';
import { RevocationStatus } from './authority/revocation-status.ts';
import { LiveCredential } from './authority/server-credential.ts';
import type { Clock } from './clock.ts';
import { createMetrics } from './health/metrics.ts';
import { Readiness } from './health/readiness.ts';
import { Attempts } from './address/attempts.ts';
import { BlockedAddresses } from './address/blocked-addresses.ts';
import { Admission } from './doors/http/admission.ts';
import { registerAdmissionMetrics } from './doors/http/admission-metric.ts';
import { DeviceDoor } from './doors/device/door.ts';
import { requireScopeWith } from './doors/operator/door.ts';
import { CloneWatch } from './respond/clone-watch.ts';
import { Connections } from './presence/connections.ts';
import { Presence } from './presence/presence.ts';
import type { CutOrder } from './revocation/store.ts';
import { RevocationWatch } from './revocation/watch.ts';
import { RootKeys } from './attest/root-keys.ts';
import { loadHubKeys } from './secrets/hub-keys.ts';
import { Blobs } from './model/blobs.ts';
import type { KeyStore } from './secrets/key-store.ts';
import { PlatformKeyRoll } from './jobs/platform-key-roll-over.ts';
import type { HubSettings } from './settings.ts';
import { Database } from './store/database.ts';
import { asHub } from './store/authority.ts';
import { makersOf } from './vendor-root/device-makers.ts';
import { type FolderNotices, importRootFolders } from './vendor-root/folder.ts';
import { registerVendorRootMetric } from './vendor-root/metric.ts';
import { VendorRoots } from './vendor-root/vendor-roots.ts';

export interface HubParts extends DeviceListenerParts, OperatorListenerParts {
  /** Problems of the files of makers' certificates. */
  readonly rootFolderNotices: FolderNotices;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the parts of an initialised data folder; takes ownership of `keyStore`. If a later part throws, the earlier ones are closed again.
 */
export async function openParts(
  folder: string,
  settings: HubSettings,
  clock: Clock,
  keyStore: KeyStore,
): Promise<HubParts> {
  await using opened = new AsyncDisposableStack();
  opened.use(keyStore);
  const keys = await loadHubKeys(folder, keyStore);
  opened.use(keys.platformKey);
  const database = opened.use(await Database.open(join(folder, 'hub.sqlite'), 'required'));
  const logFolder = join(folder, 'log');
  const log = opened.use(
    await AuditLog.open({
      source: entriesIn(database),
      checkpoints: checkpointsIn(database),
      folder: logFolder,
      signer: { name: settings.logOrigin, signer: keys.logSigner },
    }),
  );
  // Entries enter the tree as they are committed, even if no caller waits for them.
  database.onCommit = () => log.wake();
  const { onUnreadable } = settings.vendorRoots;
  const rootFolderNotices = await asHub(() => importRootFolders(folder, { database, onUnreadable, nowMs: clock() }));
  const vendorRoots = await VendorRoots.open(database);
  const policies = await asHub(() => PolicyStore.open(database, clock()));
  const admission = new Admission(settings, clock);
  const connections = new Connections(settings.admission.maxAnonymousConnections);
  const references = new ReferenceStore(database, settings.pcrs);
  const keyId = toHex(keyIdentifierOf(encodeSpki(keys.attestationSigner.publicKey)));
  const rootKeys = new RootKeys();
  const makers = {
    diceTrust: () => vendorRoots.trust('dice'),
    tierReasons: async (deviceId: string) => (await makersOf(database.read, deviceId)).flatMap(({ notes }) => notes),
  };
  const appraiser = new Appraiser(
    database,
    references,
    rootKeys,
    keys.attestationSigner,
    keyId,
    settings.pcrs,
    makers,
    settings.attestation.coveredPcrs,
  );
  const { quorum, roundSeconds } = settings.witness;
  const witnesses = new WitnessBoard({ log, quorum, maxRoundSeconds: roundSeconds });
  const { platformKey } = keys;
  const scheduler = new Scheduler({ clock });
  const { add: addJob } = scheduler;
  const platformKeyRoll = opened.use(new PlatformKeyRoll({ database, keyStore, platformKey, clock, addJob }));

  const cut = ({ deviceId, serial }: CutOrder): void => {
    if (serial === undefined) witnesses.remove(deviceId);
    connections.cut(deviceId, serial);
  };
  const traffic = new Traffic();
  const countries = await CountryTable.open(database);
  const decisions = opened.use(new DecisionLog(database, settings.access.decisionsKept));
  const access = { database, policies, connections, traffic, countries, decisions };
  const gate = new AccessGate(access);
  const rechecks = addJob(accessRechecks(gate, clock, settings.access.recheckSeconds));
  const blocked = await BlockedAddresses.open(database, clock);
  const news = async (): Promise<void> => {
    await countries.reload();
    await vendorRoots.reload();
    await blocked.reload();
    if (await policies.reload()) rechecks.soon();
  };
  const { pollMilliseconds } = settings.revocation;
  const watch = await RevocationWatch.start(database, cut, pollMilliseconds, news);
  addJob(watch.job);
  const { onClone, twoPlaces, silentSeconds } = settings.identity;
  const fleet = { database, connections, witnesses, watch };
  const presence = opened.use(await Presence.start({ ...fleet, settings: { twoPlaces, silentSeconds }, clock }));
  addJob(presence.job);
  connections.onContested = presence.contested;
  const cloneWatch = opened.use(new CloneWatch({ ...fleet, rule: onClone, clock }));
  const authorities = await Authorities.open(folder, { database, keyStore, clock });
  const credential = await LiveCredential.open({ database, authorities, settings, clock });
  const approvedRequests = new ApprovedRequests();
  const revocationStatus = new RevocationStatus({ database, authorities, watch, clock, settings });
  const ownCertificates = async () => [
    ...authorities.ownCertificates,
    { name: 'server', certificate: credential.current.certificate },
    ...(await revocationStatus.responderCertificates()),
  ];
  const metrics = createMetrics(connections, log, database);
  scheduler.watch(registerJobMetrics(metrics.registry, () => scheduler.list()));
  registerAdmissionMetrics(metrics.registry, admission);
  registerExpiryMetric(metrics.registry, ownCertificates, clock);
  registerVendorRootMetric(metrics.registry, vendorRoots, clock);
  const attempts = opened.use(
    new Attempts(database, clock, settings.admission.refusalsForAlert, (listener, code) =>
      metrics.countRefused(listener, code),
    ),
  );
  // Jobs end before what they work on.
  opened.use(scheduler);
  const closing = opened.move();
  return {
    settings,
    clock,
    keys,
    authorities,
    keyStore,
    vendorRoots,
    rootFolderNotices,
    database,
    logFolder,
    log,
    connections,
    presence,
    cloneWatch,
    references,
    rootKeys,
    appraiser,
    witnesses,
    receipts: new Receipts(database, log, witnesses),
    blobs: new Blobs(join(folder, 'blobs')),
    metrics,
    readiness: new Readiness({ database, log, folder }),
    twoPeople: new TwoPeople(database, policies, settings.access, clock, approvedRequests),
    access,
    gate,
    blocked,
    attempts,
    admission,
    door: new DeviceDoor(connections, authorities, clock, traffic, admission, settings),
    requireScope: requireScopeWith(database, clock, approvedRequests, gate, admission),
    platformKeyRoll,
    scheduler,
    watch,
    revocationStatus,
    ownCertificates,
    credential,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}
