// Which routes are on which listener: one line a subject, with the few things that its routes take.
import { Receipts } from '../access/receipts.ts';
import { LeaseAlarm } from '../access/release-budget.ts';
import { identityDeviceRoutes } from '../doors/device/enrollment.ts';
import { hybridKeyRoutes } from '../doors/device/hybrid-key.ts';
import { estRoutes } from '../doors/device/est.ts';
import { modelDeviceRoutes } from '../doors/device/model.ts';
import { recoveryRoutes } from '../doors/device/recovery.ts';
import { stateRecoveryRoutes } from '../doors/device/state-recovery.ts';
import { accessDeviceRoutes } from '../doors/device/release.ts';
import { authorityDeviceRoutes } from '../doors/device/roots.ts';
import { tokenDeviceRoutes } from '../doors/device/token-device.ts';
import { auditDeviceRoutes } from '../doors/device/witness.ts';
import { workloadDeviceRoutes } from '../doors/device/workload.ts';
import type { HttpServer } from '../doors/http/server.ts';
import { addressRoutes } from '../doors/operator/address.ts';
import { admissionRoutes } from '../doors/operator/admission.ts';
import { alertRoutes } from '../doors/operator/alert.ts';
import { approvalRoutes } from '../doors/operator/approval.ts';
import { auditOperatorRoutes } from '../doors/operator/audit.ts';
import { authorityOperatorRoutes } from '../doors/operator/authority.ts';
import { deviceOperatorRoutes } from '../doors/operator/device.ts';
import { enrollmentGroupRoutes } from '../doors/operator/enrollment-group.ts';
import { enrollmentTokenRoutes } from '../doors/operator/enrollment-token.ts';
import { eventStreamRoutes } from '../doors/operator/event-stream.ts';
import { eventRoutes } from '../doors/operator/event.ts';
import { groupRoutes } from '../doors/operator/group.ts';
import { healthRoutes } from '../doors/operator/health.ts';
import { hubKeyRoutes } from '../doors/operator/hub-keys.ts';
import { hubRoutes } from '../doors/operator/hub.ts';
import { importRoutes } from '../doors/operator/import.ts';
import { jobRoutes } from '../doors/operator/job.ts';
import { modelOperatorRoutes } from '../doors/operator/model.ts';
import { nodeRoutes } from '../doors/operator/node.ts';
import { peopleRoutes } from '../doors/operator/people.ts';
import { imaPolicyRoutes } from '../doors/operator/ima-policy.ts';
import { platformKeyRoutes } from '../doors/operator/platform-key.ts';
import { policyRoutes } from '../doors/operator/policy.ts';
import { hybridKeyOperatorRoutes } from '../doors/operator/hybrid-key.ts';
import { publicWitnessRoutes } from '../doors/operator/public-witness.ts';
import { postQuantumRoutes } from '../doors/operator/post-quantum.ts';
import { accessOperatorRoutes } from '../doors/operator/reference-values.ts';
import { registryDeviceRoutes } from '../doors/operator/registry.ts';
import { revocationOperatorRoutes } from '../doors/operator/revocation.ts';
import { siteRoutes } from '../doors/operator/site.ts';
import { tokenOperatorRoutes } from '../doors/operator/token-device.ts';
import { trustFile } from '../doors/operator/trust.ts';
import { vendorRootRoutes } from '../doors/operator/vendor-root.ts';
import { webhookRoutes } from '../doors/operator/webhook.ts';
import { witnessPolicyRoutes } from '../doors/operator/witness-policy.ts';
import { workloadOperatorRoutes } from '../doors/operator/workload.ts';
import { revocationStatusRoutes } from '../doors/public/revocation-status.ts';
import { tileRoutes } from '../doors/public/tiles.ts';
import { Readiness } from '../health/readiness.ts';
import { UnwrittenCosignatures } from '../audit/unwritten.ts';
import type { Scheduler } from '../jobs/scheduler.ts';
import type { Subjects } from './subjects.ts';

/** Adds routes to a listener. */
export type Routes = (app: HttpServer) => void;

/** The routes for devices and their workloads. */
export function deviceRoutes({ ledger, fleet, doors }: Subjects): Routes {
  const { settings, clock, secrets, database, audit } = ledger;
  const { authorities, status } = doors.authority;
  const { appraiser, rootKeys } = doors.attestation;
  const { platformKey } = secrets.keys;
  const { log, witnesses } = audit;
  const door = doors.device;
  const asked = { database, clock, door, gate: fleet.access.gate };
  const vendorRoots = fleet.vendorRoots.roots;
  const enrollment = { ...fleet, ...asked, authorities, settings, vendorRoots, appraiser, witnesses };
  const unwritten = new UnwrittenCosignatures();
  return (app) => {
    identityDeviceRoutes(app, enrollment);
    stateRecoveryRoutes(app, { ...enrollment, unwritten });
    hybridKeyRoutes(app, enrollment);
    recoveryRoutes(app, enrollment);
    estRoutes(app, enrollment);
    authorityDeviceRoutes(app, { ...asked, authorities, keyRing: doors.keyRing });
    accessDeviceRoutes(app, {
      ...asked,
      appraiser,
      rootKeys,
      platformKey,
      settings,
      receipts: new Receipts(database, log, witnesses),
      leaseAlarm: new LeaseAlarm(database),
      evidenceKeeper: doors.files.evidence.keeper,
      witnesses,
      witnessPolicies: audit.witnessPolicies,
      roundTrips: door.roundTrips,
      countRelease: (outcome) => doors.metrics.countRelease(outcome),
      countWrap: fleet.access.countWrap,
    });
    tokenDeviceRoutes(app, { ...asked, platformKey, settings });
    workloadDeviceRoutes(app, { ...asked, authorities, settings });
    modelDeviceRoutes(app, { ...asked, artifacts: doors.files.artifacts.store });
    const { countEndedGuards } = doors.metrics;
    auditDeviceRoutes(app, {
      ...asked,
      log,
      logKeys: audit.keys,
      handOvers: audit.handOvers,
      witnesses,
      unwritten,
      settings,
      countEndedGuards,
    });
    tileRoutes(app, audit.folder);
    revocationStatusRoutes(app, { status, clock });
  };
}

/** The routes for gateways with TLS 1.2. */
export function estOnlyRoutes({ ledger, doors }: Subjects): Routes {
  const { settings, clock, database } = ledger;
  const { authorities } = doors.authority;
  return (app) => estRoutes(app, { database, clock, door: doors.device, authorities, settings });
}

interface HubItself {
  readonly scheduler: Scheduler;
  /** Called when the port of the device listener is needed. */
  readonly devicePort: () => number;
}

/** The routes for people and programs. */
export function operatorRoutes(subjects: Subjects, hub: HubItself): Routes {
  return (app) => {
    addHubItself(app, subjects, hub);
    addFleet(app, subjects);
    addModels(app, subjects);
    addPeopleAndPolicy(app, subjects);
    addTrust(app, subjects);
  };
}

function addHubItself(app: HttpServer, { ledger, doors }: Subjects, { scheduler, devicePort }: HubItself): void {
  const { database, audit, clock, folder, settings, time } = ledger;
  const { requireScope } = doors.operator;
  const { authorities } = doors.authority;
  const { log } = audit;
  const readiness = new Readiness({ database, log, folder, time });
  const shown = { names: settings.names, log, devicePort, settings, time };
  jobRoutes(app, { scheduler, requireScope });
  const { events, streams } = doors.notifications;
  eventRoutes(app, { database, clock, events, requireScope });
  eventStreamRoutes(app, { database, clock, streams, settings: settings.events, requireScope });
  healthRoutes(app, { readiness, metrics: doors.metrics, requireScope });
  hubRoutes(app, { database, keyRing: doors.keyRing, authorities, requireScope, ...shown });
  platformKeyRoutes(app, doors.platformKeyRoll, requireScope);
}

function addFleet(app: HttpServer, subjects: Subjects): void {
  const { ledger, fleet, doors } = subjects;
  const { settings, secrets, audit } = ledger;
  const { watch, connections } = fleet;
  const guarded = guardedBy(subjects);
  const cutting = { ...guarded, connections, witnesses: audit.witnesses, watch };
  const { ownCertificates } = doors.authority;
  deviceOperatorRoutes(app, cutting);
  registryDeviceRoutes(app, cutting);
  hybridKeyOperatorRoutes(app, { ...cutting, settings });
  revocationOperatorRoutes(app, { ...cutting, warningDays: settings.expiryWarningDays, ownCertificates });
  groupRoutes(app, guarded);
  importRoutes(app, { ...guarded, twoPeople: doors.operator.twoPeople });
  enrollmentTokenRoutes(app, guarded);
  enrollmentGroupRoutes(app, guarded);
  admissionRoutes(app, guarded);
  vendorRootRoutes(app, { ...guarded, settings, vendorRoots: fleet.vendorRoots.roots });
  siteRoutes(app, guarded);
  alertRoutes(app, guarded);
  const { privateNetworks } = settings.webhooks;
  const { platformKey } = secrets.keys;
  webhookRoutes(app, { ...guarded, privateNetworks, platformKey, sender: doors.notifications.webhooks.sender });
  const { blocked, balancers } = doors.addresses;
  addressRoutes(app, { ...guarded, blocked, balancers });
  tokenOperatorRoutes(app, { ...guarded, platformKey });
  workloadOperatorRoutes(app, { ...guarded, settings, watch });
}

function addModels(app: HttpServer, subjects: Subjects): void {
  const { secrets } = subjects.ledger;
  const guarded = guardedBy(subjects);
  const { platformKey } = secrets.keys;
  modelOperatorRoutes(app, { ...guarded, artifacts: subjects.doors.files.artifacts.store, platformKey });
  accessOperatorRoutes(app, { ...guarded, ...subjects.doors.attestation });
  imaPolicyRoutes(app, { ...guarded, ...subjects.doors.attestation, settings: subjects.ledger.settings });
}

function addPeopleAndPolicy(app: HttpServer, subjects: Subjects): void {
  const { settings } = subjects.ledger;
  const { gate, facts } = subjects.fleet.access;
  const { twoPeople } = subjects.doors.operator;
  const guarded = guardedBy(subjects);
  peopleRoutes(app, { ...guarded, settings, twoPeople: () => twoPeople.isOn() });
  approvalRoutes(app, { ...guarded, twoPeople, gate });
  policyRoutes(app, { ...guarded, ...facts, gate, settings });
  postQuantumRoutes(app, { ...guarded, settings });
}

function addTrust(app: HttpServer, subjects: Subjects): void {
  const { ledger, fleet, doors } = subjects;
  const { settings, clock, database, audit, secrets } = ledger;
  const { log, witnesses } = audit;
  const { authorities, status } = doors.authority;
  const { connections, watch } = fleet;
  const guarded = guardedBy(subjects);
  const { requireScope } = guarded;
  const { keyStore } = secrets;
  const { keyRing } = doors;
  const trust = trustFile(database, keyRing, audit.witnessPolicies, log.key);
  const receipts = new Receipts(database, log, witnesses);
  const evidenceKeeper = doors.files.evidence.keeper;
  auditOperatorRoutes(app, { database, log, receipts, evidenceKeeper, trust, requireScope });
  publicWitnessRoutes(app, { publicWitnesses: doors.publicWitnesses, requireScope });
  witnessPolicyRoutes(app, { ...guarded, witnessPolicies: audit.witnessPolicies });
  tileRoutes(app, audit.folder, requireScope('audit:read'));
  revocationStatusRoutes(app, { status, clock });
  const owned = { ...guarded, authorities, keyStore, keyRing, settings };
  authorityOperatorRoutes(app, { ...owned, connections, watch });
  hubKeyRoutes(app, { ...owned, handLogOver: audit.handOver });
  nodeRoutes(app, { ...guarded, node: ledger.node, authorities, settings });
}

function guardedBy({ ledger, doors }: Subjects) {
  const { database, clock } = ledger;
  return { database, clock, requireScope: doors.operator.requireScope };
}
