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
import type { HubParts } from '../../wiring.ts';
import { workloadDeviceRoutes } from './workload.ts';

export function createDeviceListener(parts: HubParts): HttpServer {
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
  auditDeviceRoutes(app, { database, log, witnesses, clock, door, gate, settings });
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
  { door, cloneWatch }: Pick<HubParts, 'door' | 'cloneWatch'>,
  request: FastifyRequest,
  { statusCode }: FastifyReply,
): Promise<void> {
  const { url = '' } = request.routeOptions;
  if (!url.startsWith('/v1/') || (statusCode !== 400 && statusCode !== 401)) return;
  const connection = door.connectionOf(request);
  if (connection?.certificate !== undefined && !connection.bound) await cloneWatch.askedUnbound(connection);
}
