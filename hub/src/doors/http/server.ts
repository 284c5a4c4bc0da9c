// Common parts of both HTTP listeners: TLS 1.3, zod at the door, one error form, limits, and a log without secrets.
import { fastify, type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import type { Duplex } from 'node:stream';
import type { TlsOptions } from 'node:tls';
import { systemClock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import { performance } from 'node:perf_hooks';
import { takeTurn } from './admission.ts';
import { readBodiesAsJson } from './body.ts';
import { assertLimit, bodyBytes } from './body-limits.ts';
import { BodyWatch, type StreamLimits } from './body-watch.ts';
import { type Payer, PayerClass, BodyRoom } from './payer.ts';
import { letRefusalArrive, Refusals } from './refusal.ts';
import { noteRoute } from './route-table.ts';
import type { FormerName } from '@edgekeep/core/former-names';
import { answerFormerNames, presentUrl } from './former-names.ts';
import { beginActing, goOnActing } from './acting.ts';
import { chargeAnswer, chargedSerializerCompiler, chargedValidatorCompiler, chargePayer } from './work.ts';
import type { ZodTypeProvider } from './zod-compilers.ts';

// A slow client must not hold the buffers of a handshake or a request for long; body-watch.ts does the same for bodies.
const handshakeMilliseconds = 10_000;
const headersMilliseconds = 10_000;
// A peer that vanished silently is found by TCP's own probes, the first after this much silence.
const probeAfterMilliseconds = 60_000;

// No permission, no proof, too much: the results of an attacker's attempts.
const refusedStatuses: ReadonlySet<number> = new Set([401, 403, 413, 429]);

// For servers of tests.
const withoutLimits: ServerDependencies = {
  streams: { idleSeconds: 30, minBytesPerSecond: 1_024 },
  payerOf: ({ ip }) => ({ class: anybody, key: ip }),
  claimOf: () => undefined,
  onRefused: () => {},
  onFormerName: () => {},
};
const plenty = 2 ** 40;
const anybody = new PayerClass(
  { requestsPerSecond: plenty, workPerSecond: undefined, bytesPerSecond: plenty, turns: 1_000, bodies: 1_000 },
  plenty,
  new BodyRoom(plenty),
  systemClock,
);

export type HttpServer = ReturnType<typeof createServer>;

export interface ServerDependencies {
  readonly streams: StreamLimits;
  /** Who pays for a request, as far as its connection says. */
  readonly payerOf: (request: FastifyRequest) => Payer;
  /** The name that a request claims to come from, if it has one. */
  readonly claimOf: (request: FastifyRequest) => string | undefined;
  /** Called for each attempt that was refused. */
  readonly onRefused: (attempt: { address: string; claimed: string | undefined; code: string }) => void;
  /** Called for each name of the version before that a request used. */
  readonly onFormerName: (name: FormerName) => void;
}

export function createServer(
  tls: TlsOptions,
  logLevel: string,
  name: string,
  dependencies: ServerDependencies = withoutLimits,
) {
  const bodies = new BodyWatch(dependencies.streams);
  const refusals = new Refusals();
  const answer = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
    answerWith(dependencies, refusals, error, request, reply);
  const app = fastify({
    https: {
      ...tls,
      handshakeTimeout: handshakeMilliseconds,
      headersTimeout: headersMilliseconds,
      keepAlive: true,
      keepAliveInitialDelay: probeAfterMilliseconds,
    },
    bodyLimit: bodyBytes.none,
    // Bodies have a separate watch.
    requestTimeout: 0,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
    // Addresses that the router cannot look up never reach the error handler.
    frameworkErrors: answer,
    clientErrorHandler: answerRaw,
    rewriteUrl: ({ url = '/' }) => presentUrl(url),
    logger: logLevel === 'silent' ? false : loggerOptions(logLevel, name),
  });
  // Devices keep their one connection open between check-ins, for any time. Set here, because fastify takes 0 for its own default of 72 s.
  app.server.keepAliveTimeout = 0;
  app.addHook('onRoute', (route) => {
    assertLimit(route);
    noteRoute(app.server, route);
  });
  app.addHook('onRequest', beginActing);
  app.addHook('preValidation', takeTurn);
  app.addHook('preValidation', goOnActing);
  answerFormerNames(app, dependencies.onFormerName);
  app.addHook('onRequest', async (request, reply) => {
    request.payer = dependencies.payerOf(request);
    chargePayer(request);
    bodies.watch(request, reply.raw);
  });
  app.addHook('onSend', chargeAnswer);
  readBodiesAsJson(app);
  app.setValidatorCompiler(chargedValidatorCompiler);
  app.setSerializerCompiler(chargedSerializerCompiler);
  app.setErrorHandler(answer);
  app.setNotFoundHandler(() => {
    throw new HubError(
      'not-found',
      'there is nothing at this address: /openapi.json has all addresses of this listener',
    );
  });
  return app.withTypeProvider<ZodTypeProvider>();
}

function answerWith(
  dependencies: ServerDependencies,
  refusals: Refusals,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const answer = request.server.server.listening ? asHubError(error) : stopping(error);
  // Never log the request's headers or body: they carry tokens, keys and nonces.
  const { code, status } = answer;
  const claimed = dependencies.claimOf(request);
  const from = { address: request.ip, ...(claimed === undefined ? {} : { claimed }) };
  const line = { code, method: request.method, route: request.routeOptions.url, status, ...from };
  if (refusedStatuses.has(status)) dependencies.onRefused({ address: request.ip, claimed, code });
  if (answer.status >= 500 && answer.code !== 'hub-stopping')
    request.log.error({ ...line, error: describe(error) }, answer.message);
  else request.log.info(line, answer.message);
  const { retryAfterSeconds = status === 429 ? 1 : undefined } = answer;
  if (retryAfterSeconds !== undefined) reply.header('retry-after', Math.max(1, Math.ceil(retryAfterSeconds)));
  const send = () => void reply.status(answer.status).send(bodyOf(answer));
  // Unknown when the connection has ended, or when the router cannot look up the address: then the first hook did not run.
  const payer: Payer | undefined = request.payer;
  if (payer === undefined) return send();
  letRefusalArrive(request, reply);
  if (answer.status !== 429 && answer.status !== 401) return send();
  const delayMs = refusals.delayOf(payer.key, performance.now());
  if (delayMs === 0) return send();
  setTimeout(send, delayMs).unref();
}

// Bytes that are not HTTP have no request to answer: the same form is written by hand, and the connection ends. A client that sent nothing
// in time, or not all of it, gets no error: a hub under load reads late.
function answerRaw(error: Error, socket: Duplex): void {
  const isLate = 'code' in error && error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  if (isLate || !socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(
    bodyOf(new HubError('request-invalid', 'this is not HTTP/1.1, or its headers are too large')),
  );
  const head = `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${body.length}`;
  socket.end(`${head}\r\nconnection: close\r\n\r\n${body}`);
}

function bodyOf({ code, message, reasons, attestationResult }: HubError): object {
  return { error: { code, message, reasons, ...(attestationResult === undefined ? {} : { attestationResult }) } };
}

function loggerOptions(level: string, name: string) {
  return { level, name, base: { name }, redact: ['req.headers', 'headers'], stream: process.stderr };
}

// After the listener closes, the store closes: requests still under way fail for that reason alone.
function stopping(cause: unknown): HubError {
  return new HubError('hub-stopping', 'the hub is stopping', { cause });
}

function asHubError(error: unknown): HubError {
  if (error instanceof HubError) return error;
  if (error instanceof Error && 'code' in error && error.name === 'CoreError') {
    return new HubError('request-invalid', error.message, {
      reasons: [{ code: String(error.code), message: error.message }],
    });
  }
  if (error instanceof Error && 'statusCode' in error && error.statusCode === 413) {
    return new HubError('payload-too-large', 'the body is larger than this route takes');
  }
  if (error instanceof Error && 'statusCode' in error && error.statusCode === 415) {
    return new HubError('media-type-unsupported', 'this route does not take a body of that content type');
  }
  if (
    error instanceof Error &&
    'statusCode' in error &&
    typeof error.statusCode === 'number' &&
    error.statusCode < 500
  ) {
    return new HubError('request-invalid', error.message);
  }
  return new HubError('store-failed', 'the hub could not do this: its log has the reason', { cause: error });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` <- ${describe(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
