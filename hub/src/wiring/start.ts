// Runs one hub: its parts, and the two listeners on them. `main.ts` calls it for the command line; the simulator calls it in process.
import { join } from 'node:path';
import { encodePem } from '@edgekeep/core/identity/pem';
import { encodePublicKeyPem } from '@edgekeep/core/identity/public-key';
import { weighClaims } from '../access/claims-alarm.ts';
import { weighWorkloadGroups } from '../respond/workload-claims.ts';
import { weighBreadth } from '../access/breadth-alarm.ts';
import { AlertLines } from '../alert/alert-lines.ts';
import { Assembly } from './assembly.ts';
import { weighGeneral } from '../authority/general-alarm.ts';
import { weighCoverage } from '../attest/coverage-alarm.ts';
import type { AuditLog } from '../audit/log.ts';
import { type Clock, systemClock } from '../common/clock.ts';
import { createDeviceListener, createEstListener } from '../doors/device/listener.ts';
import { endConnectionsOnClose } from '../doors/http/open-connections.ts';
import { addressOf, portError } from '../doors/http/port.ts';
import { type Route, routesOf, undeclaredOf } from '../doors/http/route-table.ts';
import type { HttpServer } from '../doors/http/server.ts';
import { createOperatorListener } from '../doors/operator/listener.ts';
import { findOldPaths, makerBackfill } from '../enrollment/maker-backfill.ts';
import { HubError } from '../common/error.ts';
import type { JobHandle } from '../common/subject.ts';
import { jobAlarm } from '../jobs/alarm.ts';
import { namesInSettings } from '../store/hub-names.ts';
import { AuthorityKeeper } from '../jobs/authority-keeper.ts';
import { raiseDuplicateKeys } from '../respond/key-doubles.ts';
import { weighReservedNames } from '../respond/reserved-names.ts';
import { raiseDuplicateValues } from '../respond/stored-doubles.ts';
import { deviceRoutes, estOnlyRoutes, operatorRoutes } from './routes.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import { plainKeys } from '../secrets/plain-keys.ts';
import type { HubSettings } from '../settings.ts';
import { asHub } from '../store/authority.ts';
import { type FolderLock, lockFolder } from '../store/folder-lock.ts';
import type { FolderNotices } from '../vendor-root/folder.ts';
import type { VendorRootCount } from '../vendor-root/vendor-roots.ts';
import { type FleetSubjects, type Ledger, openSubjects, type Subjects } from './subjects.ts';
import { asFolderError } from '../common/world-failure.ts';

interface HubAddresses {
  readonly deviceAddress: { readonly host: string; readonly port: number };
  readonly operatorAddress: { readonly host: string; readonly port: number };
  /** Undefined unless the setting `estForGateways` opens it. */
  readonly estAddress: { readonly host: string; readonly port: number } | undefined;
}

export interface Hub extends HubAddresses {
  /** The number of makers' certificates that it used when it started. */
  readonly vendorRoots: readonly VendorRootCount[];
  /** Problems of the files of makers' certificates. */
  readonly rootFolderNotices: FolderNotices;
  /** The hub's root certificate in use, PEM: what new devices and operators pin. */
  readonly rootPem: string;
  /** The log's verifier key (C2SP signed-note vkey). */
  readonly logKey: AuditLog['key'];
  /** The key that signs attestation results, PEM. */
  readonly attestationKeyPem: string;
  /** The routes of each listener, as they were registered. */
  readonly routes: {
    readonly device: readonly Route[];
    readonly operator: readonly Route[];
    readonly est: readonly Route[];
    /** Answers that a route gave and does not declare: our own mistakes. */ readonly undeclared: () => readonly string[];
  };
  /** Resolves when the store is found changed while the hub runs: end it then. The next start removes what it may. */
  readonly refused: Promise<HubError>;
  /** Compares the store with its log at once, as the hub does every `securityState.checkSeconds`. */
  readonly checkState: () => Promise<void>;
  /** Does at once the work that the hub does every `authorities.checkSeconds`. */
  readonly sweepAuthorities: () => Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a hub on an initialised data folder and resolves once both listeners accept. Takes ownership of `keyStore`; without one the keys
 * must be plain files, or `keys-locked` is thrown. Takes ownership of `lock` too; without one the folder is locked here. Throws
 * `folder-in-use`, `folder-unusable`, `port-unusable`.
 */
export async function startHub(
  folder: string,
  settings: HubSettings,
  clock: Clock = systemClock,
  keyStore: KeyStore = plainKeys(join(folder, 'keys')),
  lock?: FolderLock,
): Promise<Hub> {
  await using opened = new AsyncDisposableStack();
  opened.use(lock ?? lockFolder(folder));
  const assembly = opened.use(new Assembly(clock));
  const subjects = await openSubjects(assembly, folder, { settings, clock }, keyStore).catch((error: unknown) => {
    throw asFolderError(folder, error);
  });
  const { ledger, fleet, doors } = subjects;
  const listeners = await openListeners(opened, assembly, subjects);
  const sweep = await startJobs(assembly, subjects, listeners.operator);
  await listen(listeners, settings);
  await findMakers(assembly, ledger, fleet);
  doors.platformKeyRoll.resume();
  assembly.scheduler.start();
  const running = opened.move();
  return {
    vendorRoots: fleet.vendorRoots.roots.counts(ledger.clock()),
    rootFolderNotices: fleet.vendorRoots.notices,
    deviceAddress: addressOf(listeners.device),
    operatorAddress: addressOf(listeners.operator),
    estAddress: listeners.est === undefined ? undefined : addressOf(listeners.est),
    get rootPem() {
      return encodePem('CERTIFICATE', doors.authority.authorities.root.der);
    },
    get logKey() {
      return ledger.audit.log.key;
    },
    get attestationKeyPem() {
      return encodePublicKeyPem(doors.keyRing.attestation().signer.publicKey);
    },
    routes: {
      device: routesOf(listeners.device.server),
      operator: routesOf(listeners.operator.server),
      est: listeners.est === undefined ? [] : routesOf(listeners.est.server),
      undeclared: () =>
        Object.values(listeners).flatMap((app) => (app === undefined ? [] : [...undeclaredOf(app.server)])),
    },
    refused: ledger.node === undefined ? ledger.refused : Promise.race([ledger.refused, ledger.node.ended]),
    checkState: ledger.checkState,
    sweepAuthorities: () => sweep.now(),
    [Symbol.asyncDispose]: () => running.disposeAsync().catch(throwUnlessEnded),
  };
}

/** A node that was removed cannot write its last words: what it would say is over for the others already. */
function throwUnlessEnded(error: unknown): void {
  if (!isEnded(error)) throw error;
}

function isEnded(error: unknown): boolean {
  if (error instanceof SuppressedError) return isEnded(error.error) && isEnded(error.suppressed);
  return error instanceof HubError && error.code === 'node-ended';
}

interface Listeners {
  readonly device: HttpServer;
  readonly operator: HttpServer;
  readonly est: HttpServer | undefined;
}

/** Makes the listeners with their routes; none accepts yet. They end with `opened`. */
async function openListeners(
  opened: AsyncDisposableStack,
  { scheduler }: Assembly,
  subjects: Subjects,
): Promise<Listeners> {
  const { ledger, fleet, doors } = subjects;
  const { settings, clock } = ledger;
  const { metrics, addresses, admission } = doors;
  const { credential } = doors.authority;
  const { gate } = fleet.access;
  const shared = { settings, clock, credential, addresses, metrics };
  const forDevices = { ...fleet, ...shared, gate, door: doors.device };
  const device = opened.adopt(createDeviceListener(forDevices, deviceRoutes(subjects)), (app) => app.close());
  const est = settings.estForGateways.enabled
    ? opened.adopt(createEstListener(forDevices, estOnlyRoutes(subjects)), (app) => app.close())
    : undefined;
  const { twoPeople, requestKeys } = doors.operator;
  const routes = operatorRoutes(subjects, { scheduler, devicePort: () => addressOf(device).port });
  const operator = opened.adopt(
    await createOperatorListener({ ...shared, admission, twoPeople, requestKeys }, routes),
    (app) => app.close(),
  );
  for (const [name, app] of Object.entries({ device, operator, est })) {
    if (app === undefined) continue;
    const open = endConnectionsOnClose(app);
    addresses.blocked.onChange(() => open.end((address) => addresses.blocked.has(address)));
    app.addHook('onResponse', async (request, reply) => {
      const route = request.routeOptions.url ?? 'none';
      metrics.observeRequest(name, route, reply.statusCode, reply.elapsedTime / 1_000);
    });
  }
  return { device, operator, est };
}

/** Adds the jobs that write to the hub's own log, and does at once the work that became due while the hub was down. */
async function startJobs(
  { scheduler }: Assembly,
  { ledger, fleet, doors }: Subjects,
  { log }: HttpServer,
): Promise<JobHandle> {
  const { database, clock, settings, secrets } = ledger;
  const warn = (text: string) => log.warn(text);
  const { maxJobFailures: maxFailures } = settings.alerts;
  scheduler.watch(jobAlarm({ database, clock, maxFailures, warn, node: ledger.node?.name }));
  const lines = await AlertLines.start(database.read, (alert) =>
    log.warn({ alert }, `alert ${alert.id}: ${alert.title}`),
  );
  scheduler.add(lines.job);
  const { authorities, credential, ownCertificates } = doors.authority;
  const { keyStore } = secrets;
  const vendorRoots = fleet.vendorRoots.roots;
  const dependencies = {
    database,
    authorities,
    keyStore,
    clock,
    settings,
    credential,
    ownCertificates,
    vendorRoots,
    warn,
    keyRing: doors.keyRing,
    handLogOver: ledger.audit.handOver,
  };
  const sweep = scheduler.add(new AuthorityKeeper(dependencies).job);
  await weighReservedNames(database, namesInSettings(settings), clock());
  const weighClasses = () => weighGeneral(database, authorities.state, clock());
  await weighClasses();
  authorities.follow(weighClasses);
  await weighCoverage(database, settings, clock());
  await doors.attestation.references.weighFormerSets(clock());
  await asHub(() => doors.attestation.standings.weigh());
  const policy = fleet.access.facts.policies.current();
  if (settings.alerts.policyGivesAllKeys) await weighBreadth(database, policy, clock());
  await weighClaims(database, policy, clock());
  await weighWorkloadGroups(database, clock());
  await asHub(() => raiseDuplicateKeys(database, clock()));
  // Work that became due while the hub was down, and work that a kill interrupted. The job's alarm reports a failure.
  await sweep.now().catch(() => undefined);
  await asHub(() => raiseDuplicateValues(database, clock()));
  return sweep;
}

/** Which setting has the address of each listener. */
const listenerSettings = { device: 'device', operator: 'operator', est: 'estForGateways' } as const;

async function listen(listeners: Listeners, settings: HubSettings): Promise<void> {
  for (const name of ['device', 'operator', 'est'] as const) {
    const { host, port } = settings[listenerSettings[name]];
    await listeners[name]?.listen({ host, port }).catch((error: unknown) => {
      throw portError(listenerSettings[name], { host, port }, error);
    });
  }
}

/** The first few at once, the rest beside the work. */
async function findMakers({ scheduler }: Assembly, { database }: Ledger, fleet: FleetSubjects): Promise<void> {
  const vendorRoots = fleet.vendorRoots.roots;
  const left = await asHub(() => findOldPaths(database, vendorRoots));
  if (left) scheduler.add(makerBackfill({ database, vendorRoots })).soon();
}
