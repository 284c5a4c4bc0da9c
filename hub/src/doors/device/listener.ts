// The device listener: the routes of each subject on one listener that asks for a certificate.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TLSSocket } from 'node:tls';
import { accessDeviceRoutes } from './release.ts';
import { LeaseAlarm } from '../../access/release-budget.ts';
import { auditDeviceRoutes } from './witness.ts';
import { tileRoutes } from '../public/tiles.ts';
import { authorityDeviceRoutes } from './roots.ts';
import type { DeviceDoor } from './door.ts';
import { pay, streamLimits } from '../http/admission.ts';
import { newcomerLimits, queueNewcomers } from '../http/newcomers.ts';
import { createServer, type HttpServer } from '../http/server.ts';
import type { DeviceConnection } from '../../presence/connections.ts';
import { RoundTrips } from '../../presence/round-trip.ts';
import { revocationStatusRoutes } from '../public/revocation-status.ts';
import { identityDeviceRoutes } from './enrollment.ts';
import { estRoutes } from './est.ts';
import { recoveryRoutes } from './recovery.ts';
import { tokenDeviceRoutes } from './token-device.ts';
import { modelDeviceRoutes } from './model.ts';
import type { AccessGate } from '../../access/gate.ts';
import type { Appraiser } from '../../attest/appraiser.ts';
import type { Attempts } from '../../address/attempts.ts';
import type { AuditLog } from '../../audit/log.ts';
import type { Authorities } from '../../authority/authorities.ts';
import type { Blobs } from '../../model/blobs.ts';
import type { BlockedAddresses } from '../../address/blocked-addresses.ts';
import type { Clock } from '../../clock.ts';
import type { CloneWatch } from '../../respond/clone-watch.ts';
import type { Connections } from '../../presence/connections.ts';
import type { Database } from '../../store/database.ts';
import type { HubKeys } from '../../secrets/hub-keys.ts';
import type { HubSettings } from '../../settings.ts';
import type { LiveCredential } from '../../authority/server-credential.ts';
import type { Metrics } from '../../health/metrics.ts';
import type { Presence } from '../../presence/presence.ts';
import type { Receipts } from '../../access/receipts.ts';
import type { RevocationStatus } from '../../authority/revocation-status.ts';
import type { RevocationWatch } from '../../revocation/watch.ts';
import type { RootKeys } from '../../attest/root-keys.ts';
import type { VendorRoots } from '../../vendor-root/vendor-roots.ts';
import type { WitnessBoard } from '../../audit/witness.ts';
import { workloadDeviceRoutes } from './workload.ts';

export interface DeviceListenerParts {
  readonly settings: HubSettings;
  readonly clock: Clock;
  readonly keys: HubKeys;
  readonly authorities: Authorities;
  readonly database: Database;
  readonly door: DeviceDoor;
  readonly watch: RevocationWatch;
  readonly appraiser: Appraiser;
  readonly witnesses: WitnessBoard;
  readonly rootKeys: RootKeys;
  readonly gate: AccessGate;
  readonly log: AuditLog;
  /** The credential of both listeners. */
  readonly credential: LiveCredential;
  readonly attempts: Attempts;
  readonly blocked: BlockedAddresses;
  readonly connections: Connections;
  readonly vendorRoots: VendorRoots;
  readonly presence: Presence;
  readonly cloneWatch: CloneWatch;
  readonly receipts: Receipts;
  readonly metrics: Metrics;
  readonly blobs: Blobs;
  readonly logFolder: string;
  readonly revocationStatus: RevocationStatus;
}

export function createDeviceListener(parts: DeviceListenerParts): HttpServer {
  const { settings, clock, keys, authorities, database, door, watch, appraiser, witnesses, rootKeys, gate, log } =
    parts;
  const { platformKey } = keys;
  const app = createServer(parts.credential.tlsOptions(), settings.logLevel, 'device', {
    streams: streamLimits(settings),
    payerOf: (request) => door.payerOf(request),
    claimOf: (request) => door.claimOf(request),
    onRefused: (attempt) => parts.attempts.note({ listener: 'device', ...attempt }),
    onFormerName: ({ former }) => parts.metrics.countFormerName('device', former),
  });
  parts.credential.serve(app.server);
  queueNewcomers(app.server, newcomerLimits, {
    admits: (address) => !parts.blocked.has(address),
    hasRoom: (network) => parts.connections.hasRoom(network),
  });
  app.server.on('secureConnection', (socket: TLSSocket) => admit(door, socket));
  // First, because it takes time.
  const roundTrips = new RoundTrips<DeviceConnection>();
  app.addHook('onRequest', async (request) => {
    const connection = door.connectionOf(request);
    if (connection !== undefined) roundTrips.asked(connection);
  });
  app.addHook('onResponse', async (request) => {
    const connection = door.connectionOf(request);
    if (connection !== undefined) roundTrips.answered(connection, request.routeOptions.url === '/v1/challenges');
  });
  app.addHook('onRequest', pay);
  // Every response to a device rests on data no older than one interval; without a store there is none.
  app.addHook('onRequest', () => watch.fresh());
  // Nor on a connection that the policy no longer permits.
  app.addHook('onRequest', async (request) => {
    const connection = door.connectionOf(request);
    if (connection !== undefined) await gate.stayed(connection, clock());
  });
  // Devices measure their clocks by it: it is the hub's own time.
  app.addHook('onSend', async (_request, reply) => void reply.header('date', new Date(clock()).toUTCString()));
  app.addHook('onResponse', async (request, reply) => noteUnbound(parts, request, reply));
  const enrollment = {
    database,
    authorities,
    settings,
    vendorRoots: parts.vendorRoots,
    appraiser,
    witnesses,
    presence: parts.presence,
    cloneWatch: parts.cloneWatch,
    clock,
    door,
  };
  identityDeviceRoutes(app, { ...enrollment, gate, connections: parts.connections });
  recoveryRoutes(app, enrollment);
  estRoutes(app, enrollment);
  authorityDeviceRoutes(app, { database, authorities, clock, door });
  accessDeviceRoutes(app, {
    database,
    appraiser,
    rootKeys,
    gate,
    platformKey,
    settings,
    clock,
    door,
    receipts: parts.receipts,
    leaseAlarm: new LeaseAlarm(database),
    roundTrips,
    countRelease: (outcome) => parts.metrics.countRelease(outcome),
  });
  tokenDeviceRoutes(app, { database, platformKey, settings, clock, door, gate });
  workloadDeviceRoutes(app, { database, authorities, settings, clock, door, gate });
  modelDeviceRoutes(app, { database, blobs: parts.blobs, clock, door, gate });
  const { countEndedGuards } = parts.metrics;
  auditDeviceRoutes(app, { database, log, witnesses, clock, door, gate, settings, countEndedGuards });
  tileRoutes(app, parts.logFolder);
  revocationStatusRoutes(app, { status: parts.revocationStatus, clock });
  return app;
}

// A client whose certificate cannot be read is cut before it can send a request.
function admit(door: DeviceDoor, socket: TLSSocket): void {
  try {
    door.admit(socket);
  } catch {
    // For any reason: a connection that was not admitted sends no request.
    socket.destroy();
  }
}

// A client with a certificate binds its connection first, or renews by EST. Any other request, or a bind without evidence, looks like a
// stolen certificate. The refusal does not reveal that.
async function noteUnbound(
  { door, cloneWatch }: Pick<DeviceListenerParts, 'door' | 'cloneWatch'>,
  request: FastifyRequest,
  { statusCode }: FastifyReply,
): Promise<void> {
  const { url = '' } = request.routeOptions;
  if (!url.startsWith('/v1/') || (statusCode !== 400 && statusCode !== 401)) return;
  const connection = door.connectionOf(request);
  if (connection?.certificate !== undefined && !connection.bound) await cloneWatch.askedUnbound(connection);
}
