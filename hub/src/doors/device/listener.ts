// The device listener: one listener that asks for a certificate, and the routes of each subject on it. The listener for gateways with TLS 1.2
// is made in the same way, and has the routes of EST alone.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TLSSocket } from 'node:tls';
import type { AccessGate } from '../../access/gate.ts';
import type { Addresses } from '../../address/open.ts';
import type { LiveCredential, TlsVersions } from '../../authority/server-credential.ts';
import type { Clock } from '../../common/clock.ts';
import type { Metrics } from '../../health/metrics.ts';
import type { Connections } from '../../presence/connections.ts';
import type { CloneWatch } from '../../respond/clone-watch.ts';
import type { RevocationWatch } from '../../revocation/watch.ts';
import type { HubSettings } from '../../settings.ts';
import { pay, streamLimits } from '../http/admission.ts';
import { balancedConnections } from '../http/balanced-log.ts';
import { newcomerLimits, queueNewcomers } from '../connection/newcomers.ts';
import { openApiRoute } from '../openapi/openapi.ts';
import { createServer, type HttpServer } from '../http/server.ts';
import { publicOperations } from '../public/operations.ts';
import { deviceOperations } from './operations.ts';
import type { DeviceDoor } from './door.ts';

export interface DeviceListenerDependencies {
  readonly settings: HubSettings;
  readonly clock: Clock;
  /** The credential of both listeners. */
  readonly credential: LiveCredential;
  readonly door: DeviceDoor;
  readonly gate: Pick<AccessGate, 'stayed'>;
  readonly watch: Pick<RevocationWatch, 'fresh'>;
  readonly connections: Pick<Connections, 'hasRoom'>;
  readonly addresses: Addresses;
  readonly cloneWatch: CloneWatch;
  readonly metrics: Metrics;
}

/** `addRoutes` adds the routes of every subject. */
export function createDeviceListener(
  dependencies: DeviceListenerDependencies,
  addRoutes: (app: HttpServer) => void,
): HttpServer {
  return createListener(dependencies, { name: 'device', versions: '1.3' }, (app) => {
    openApiRoute(app, { listener: 'device', operations: { ...publicOperations, ...deviceOperations }, lists: {} });
    addRoutes(app);
  });
}

/** spec/est.md, "Gateways with TLS 1.2": `addRoutes` adds those of EST, and no others. */
export function createEstListener(
  dependencies: DeviceListenerDependencies,
  addRoutes: (app: HttpServer) => void,
): HttpServer {
  return createListener(dependencies, { name: 'est', versions: '1.2 and 1.3' }, addRoutes);
}

function createListener(
  dependencies: DeviceListenerDependencies,
  { name, versions }: { readonly name: 'device' | 'est'; readonly versions: TlsVersions },
  addRoutes: (app: HttpServer) => void,
): HttpServer {
  const { settings, door, addresses, connections, credential } = dependencies;
  const app = createServer(credential.tlsOptions(versions), settings.logLevel, name, {
    streams: streamLimits(settings),
    payerOf: (request) => door.payerOf(request),
    claimOf: (request) => door.claimOf(request),
    onRefused: (attempt) => addresses.attempts.note({ listener: name, ...attempt }),
    onFormerName: ({ former }) => dependencies.metrics.countFormerName(name, former),
  });
  credential.serve(app.server, versions);
  queueNewcomers(app.server, newcomerLimits, {
    admits: (address) => !addresses.blocked.has(address),
    hasRoom: (network) => connections.hasRoom(network),
    balanced: balancedConnections(app, name, addresses.balancers),
  });
  const admitted = versions === '1.3' ? door.admit.bind(door) : door.admitUnbindable.bind(door);
  app.server.on('secureConnection', (socket: TLSSocket) => admit(admitted, socket));
  addHooks(app, dependencies);
  addRoutes(app);
  return app;
}

function addHooks(app: HttpServer, dependencies: DeviceListenerDependencies): void {
  const { door, watch, gate, clock } = dependencies;
  // First, because it takes time.
  app.addHook('onRequest', async (request) => {
    const connection = door.connectionOf(request);
    if (connection !== undefined) door.roundTrips.asked(connection);
  });
  app.addHook('onResponse', async (request) => {
    const connection = door.connectionOf(request);
    if (connection !== undefined) door.roundTrips.answered(connection, request.routeOptions.url === '/v1/challenges');
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
  app.addHook('onResponse', async (request, reply) => noteUnbound(dependencies, request, reply));
}

// A client whose certificate cannot be read is cut before it can send a request.
function admit(admitted: (socket: TLSSocket) => void, socket: TLSSocket): void {
  try {
    admitted(socket);
  } catch {
    // For any reason: a connection that was not admitted sends no request.
    socket.destroy();
  }
}

// A client with a certificate binds its connection first, or renews by EST. Any other request, or a bind without evidence, looks like a
// stolen certificate. The refusal does not reveal that.
async function noteUnbound(
  { door, cloneWatch }: Pick<DeviceListenerDependencies, 'door' | 'cloneWatch'>,
  request: FastifyRequest,
  { statusCode }: FastifyReply,
): Promise<void> {
  const { url = '' } = request.routeOptions;
  if (!url.startsWith('/v1/') || (statusCode !== 400 && statusCode !== 401)) return;
  const connection = door.connectionOf(request);
  if (connection?.certificate !== undefined && !connection.bound) await cloneWatch.askedUnbound(connection);
}
