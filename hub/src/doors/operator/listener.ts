// The operator listener, for people and programs: one listener that asks for API tokens, and the routes of each subject on it.
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { Addresses } from '../../address/open.ts';
import type { LiveCredential } from '../../authority/server-credential.ts';
import type { Metrics } from '../../health/metrics.ts';
import { scopes } from '../../common/declarations.ts';
import { roles } from '../../people/roles.ts';
import type { HubSettings } from '../../settings.ts';
import { type Admission, pay, streamLimits } from '../http/admission.ts';
import { ConnectionCount } from '../connection/connection-count.ts';
import { balancedConnections } from '../http/balanced-log.ts';
import { newcomerLimits, queueNewcomers } from '../connection/newcomers.ts';
import { createServer, type HttpServer } from '../http/server.ts';
import { openApiRoute } from '../openapi/openapi.ts';
import { publicOperations } from '../public/operations.ts';
import { operatorOperations } from './operations.ts';
import type { RequestKeyHeader } from './request-key.ts';
import { approvalAnswers, type TwoPeople } from './two-people.ts';

export interface OperatorListenerDependencies {
  readonly settings: HubSettings;
  /** The credential of both listeners. */
  readonly credential: LiveCredential;
  readonly admission: Admission;
  readonly addresses: Addresses;
  readonly twoPeople: TwoPeople;
  readonly requestKeys: RequestKeyHeader;
  readonly metrics: Metrics;
}

const operations = { ...publicOperations, ...operatorOperations };
const roleNames = Object.keys(roles);
const wordLists = { ScopeName: scopes, ScopeWord: scopes, RoleName: roleNames, RoleWord: roleNames };

const idleMilliseconds = 75_000;

/** `addRoutes` adds the routes of every subject. */
export async function createOperatorListener(
  dependencies: OperatorListenerDependencies,
  addRoutes: (app: HttpServer) => void,
): Promise<HttpServer> {
  const { settings, addresses } = dependencies;
  // People and programs show tokens: no client certificate is requested.
  const app = createServer(
    { ...dependencies.credential.tlsOptions(), requestCert: false },
    settings.logLevel,
    'operator',
    {
      streams: streamLimits(settings),
      payerOf: (request) => dependencies.admission.callerOf(request),
      claimOf: (request) => actorOf(request),
      onRefused: (attempt) => addresses.attempts.note({ listener: 'operator', ...attempt }),
      onFormerName: ({ former }) => dependencies.metrics.countFormerName('operator', former),
    },
  );
  // On a route that needs a token, the request is charged once the token is known.
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.who === undefined) await pay(request);
  });
  dependencies.credential.serve(app.server);
  // A browser or a program that is silent for this long connects again.
  app.server.keepAliveTimeout = idleMilliseconds;
  const open = new ConnectionCount();
  queueNewcomers(app.server, newcomerLimits, {
    admits: (address) => !addresses.blocked.has(address),
    hasRoom: (network) => open.of(network) < settings.admission.maxOperatorConnections,
    balanced: balancedConnections(app, 'operator', addresses.balancers),
  });
  app.server.on('secureConnection', (socket: Socket) => open.add(socket));
  openApiRoute(app, { listener: 'operator', operations, lists: wordLists, held: approvalAnswers });
  dependencies.requestKeys.guard(app);
  dependencies.twoPeople.guard(app);
  app.after(() => addRoutes(app));
  return app;
}

// No caller before the token was read.
function actorOf({ actor }: Partial<Pick<FastifyRequest, 'actor'>>): string | undefined {
  return actor;
}
