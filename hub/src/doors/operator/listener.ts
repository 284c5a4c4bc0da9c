// The operator listener, for people and programs: the routes of each subject on one listener that asks for API tokens.
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { accessOperatorRoutes } from './reference-values.ts';
import { addressRoutes } from './address.ts';
import { approvalRoutes } from './approval.ts';
import { policyRoutes } from './policy.ts';
import { peopleRoutes } from './people.ts';
import { auditOperatorRoutes } from './audit.ts';
import { tileRoutes } from '../public/tiles.ts';
import { authorityOperatorRoutes } from './authority.ts';
import { trustFile } from './trust.ts';
import { healthRoutes } from './health.ts';
import { pay, streamLimits } from '../http/admission.ts';
import { ConnectionCount } from '../http/connection-count.ts';
import { newcomerLimits, queueNewcomers } from '../http/newcomers.ts';
import { openApiRoutes } from './openapi.ts';
import { createServer, type HttpServer } from '../http/server.ts';
import { revocationStatusRoutes } from '../public/revocation-status.ts';
import { hubRoutes } from './hub.ts';
import { jobRoutes } from './job.ts';
import { deviceOperatorRoutes } from './device.ts';
import { revocationOperatorRoutes } from './revocation.ts';
import { tokenOperatorRoutes } from './token-device.ts';
import { modelOperatorRoutes } from './model.ts';
import type { AccessGate } from '../../access/gate.ts';
import type { Admission } from '../http/admission.ts';
import type { Attempts } from '../../address/attempts.ts';
import type { AuditLog } from '../../audit/log.ts';
import type { Authorities } from '../../authority/authorities.ts';
import type { Blobs } from '../../model/blobs.ts';
import type { BlockedAddresses } from '../../address/blocked-addresses.ts';
import type { Clock } from '../../clock.ts';
import type { Connections } from '../../presence/connections.ts';
import type { Database } from '../../store/database.ts';
import type { GateParts } from '../../access/gate.ts';
import type { HubKeys } from '../../secrets/hub-keys.ts';
import type { HubSettings } from '../../settings.ts';
import type { KeyStore } from '../../secrets/key-store.ts';
import type { LiveCredential } from '../../authority/server-credential.ts';
import type { Metrics } from '../../health/metrics.ts';
import type { OwnCertificate } from '../../authority/expiry.ts';
import type { Scheduler } from '../../jobs/scheduler.ts';
import type { PlatformKeyRoll } from '../../jobs/platform-key-roll-over.ts';
import type { Readiness } from '../../health/readiness.ts';
import type { Receipts } from '../../access/receipts.ts';
import type { ReferenceStore } from '../../attest/reference-store.ts';
import type { RequireScope } from './door.ts';
import type { RevocationStatus } from '../../authority/revocation-status.ts';
import type { RevocationWatch } from '../../revocation/watch.ts';
import type { TwoPeople } from './two-people.ts';
import type { VendorRoots } from '../../vendor-root/vendor-roots.ts';
import type { WitnessBoard } from '../../audit/witness.ts';
import { admissionRoutes } from './admission.ts';
import { enrollmentGroupRoutes } from './enrollment-group.ts';
import { enrollmentTokenRoutes } from './enrollment-token.ts';
import { registryDeviceRoutes } from './registry.ts';
import { groupRoutes } from './group.ts';
import { importRoutes } from './import.ts';
import { siteRoutes } from './site.ts';
import { AlertLines } from '../../alert/alert-lines.ts';
import { alertRoutes } from './alert.ts';
import { platformKeyRoutes } from './platform-key.ts';
import { vendorRootRoutes } from './vendor-root.ts';
import { workloadOperatorRoutes } from './workload.ts';

export interface OperatorListenerParts {
  readonly settings: HubSettings;
  readonly clock: Clock;
  readonly keys: HubKeys;
  readonly authorities: Authorities;
  readonly database: Database;
  readonly requireScope: RequireScope;
  readonly connections: Connections;
  readonly witnesses: WitnessBoard;
  readonly watch: RevocationWatch;
  readonly log: AuditLog;
  /** The credential of both listeners. */
  readonly credential: LiveCredential;
  readonly admission: Admission;
  readonly attempts: Attempts;
  readonly blocked: BlockedAddresses;
  readonly twoPeople: TwoPeople;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  readonly vendorRoots: VendorRoots;
  readonly platformKeyRoll: PlatformKeyRoll;
  readonly scheduler: Scheduler;
  readonly blobs: Blobs;
  readonly gate: AccessGate;
  readonly access: GateParts;
  readonly references: ReferenceStore;
  readonly receipts: Receipts;
  readonly logFolder: string;
  readonly revocationStatus: RevocationStatus;
  readonly keyStore: KeyStore;
  /** The certificates that the hub's own trust depends on, at this moment. */
  readonly ownCertificates: () => Promise<readonly OwnCertificate[]>;
}

const idleMilliseconds = 75_000;

/** `devicePort` is called when the port of the device listener is needed. */
export async function createOperatorListener(
  parts: OperatorListenerParts,
  devicePort: () => number,
): Promise<HttpServer> {
  const { settings, clock, keys, authorities, database, requireScope, connections, witnesses, watch, log } = parts;
  const { platformKey } = keys;
  // People and programs show tokens: no client certificate is requested.
  const app = createServer({ ...parts.credential.tlsOptions(), requestCert: false }, settings.logLevel, 'operator', {
    streams: streamLimits(settings),
    payerOf: (request) => parts.admission.callerOf(request),
    claimOf: (request) => actorOf(request),
    onRefused: (attempt) => parts.attempts.note({ listener: 'operator', ...attempt }),
    onFormerName: ({ former }) => parts.metrics.countFormerName('operator', former),
  });
  // On a route that needs a token, the request is charged once the token is known.
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.who === undefined) await pay(request);
  });
  parts.credential.serve(app.server);
  // A browser or a program that is silent for this long connects again.
  app.server.keepAliveTimeout = idleMilliseconds;
  const open = new ConnectionCount();
  queueNewcomers(app.server, newcomerLimits, {
    admits: (address) => !parts.blocked.has(address),
    hasRoom: (network) => open.of(network) < settings.admission.maxOperatorConnections,
  });
  app.server.on('secureConnection', (socket: Socket) => open.add(socket));
  await openApiRoutes(app);
  const { twoPeople } = parts;
  twoPeople.guard(app);
  const lines = await AlertLines.start(database.read, (alert) =>
    app.log.warn({ alert }, `alert ${alert.id}: ${alert.title}`),
  );
  parts.scheduler.add(lines.job);
  app.after(() => {
    const guarded = { database, clock, requireScope };
    const fleet = { ...guarded, connections, witnesses, watch };
    jobRoutes(app, { scheduler: parts.scheduler, requireScope });
    healthRoutes(app, { readiness: parts.readiness, metrics: parts.metrics, requireScope });
    hubRoutes(app, {
      database,
      keys,
      authorities,
      names: settings.names,
      logKey: log.key,
      devicePort,
      requireScope,
      settings,
    });
    deviceOperatorRoutes(app, fleet);
    registryDeviceRoutes(app, fleet);
    groupRoutes(app, guarded);
    importRoutes(app, guarded);
    enrollmentTokenRoutes(app, guarded);
    enrollmentGroupRoutes(app, guarded);
    admissionRoutes(app, guarded);
    vendorRootRoutes(app, { ...guarded, settings, vendorRoots: parts.vendorRoots });
    siteRoutes(app, guarded);
    alertRoutes(app, guarded);
    addressRoutes(app, { ...guarded, blocked: parts.blocked });
    platformKeyRoutes(app, parts.platformKeyRoll, requireScope);
    tokenOperatorRoutes(app, { ...guarded, platformKey });
    modelOperatorRoutes(app, { ...guarded, blobs: parts.blobs, platformKey });
    workloadOperatorRoutes(app, { ...guarded, settings, watch: parts.watch });
    peopleRoutes(app, { ...guarded, settings, twoPeople: () => twoPeople.isOn() });
    approvalRoutes(app, { ...guarded, twoPeople, gate: parts.gate });
    policyRoutes(app, { ...guarded, ...parts.access, gate: parts.gate, settings });
    accessOperatorRoutes(app, { ...guarded, references: parts.references });
    const logKeys = { log: log.key, attestation: keys.attestationSigner.publicKey };
    const trust = trustFile(database, logKeys, settings.witness.quorum);
    auditOperatorRoutes(app, { database, log, receipts: parts.receipts, trust, requireScope });
    tileRoutes(app, parts.logFolder, requireScope('audit:read'));
    const status = parts.revocationStatus;
    revocationStatusRoutes(app, { status, clock });
    authorityOperatorRoutes(app, { ...guarded, authorities, keyStore: parts.keyStore, settings, connections, watch });
    const warningDays = settings.expiryWarningDays;
    revocationOperatorRoutes(app, { ...fleet, warningDays, ownCertificates: parts.ownCertificates });
  });
  return app;
}

// No caller before the token was read.
function actorOf({ actor }: Partial<Pick<FastifyRequest, 'actor'>>): string | undefined {
  return actor;
}
