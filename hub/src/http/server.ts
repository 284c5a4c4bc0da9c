// What both HTTP listeners share: TLS 1.3, zod at the door, one error form, limits, and a log without secrets.
import { fastify, type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import type { Duplex } from 'node:stream';
import type { TlsOptions } from 'node:tls';
import { HubError } from '../error.ts';
import { assertLimit, bodyBytes } from './body-limits.ts';
import { noteRoute } from './route-table.ts';
import { beginActing, goOnActing } from './acting.ts';

// A body that is too long is read to here and thrown away, so that the refusal arrives.
const discardedBytesMost = 8 * 1024 * 1024;
// A device that sends a byte a minute must not hold a connection's buffers for long.
const requestMilliseconds = 30_000;
const headersMilliseconds = 10_000;
// A peer that vanished without a word is found by TCP's own probes, the first after this much silence.
const probeAfterMilliseconds = 60_000;

export type HttpServer = ReturnType<typeof createServer>;

export function createServer(tls: TlsOptions, logLevel: string, name: string) {
  const app = fastify({
    https: {
      ...tls,
      headersTimeout: headersMilliseconds,
      keepAlive: true,
      keepAliveInitialDelay: probeAfterMilliseconds,
    },
    bodyLimit: bodyBytes.none,
    requestTimeout: requestMilliseconds,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
    // Addresses that no route can be looked up for never reach the error handler.
    frameworkErrors: answerWith,
    clientErrorHandler: answerRaw,
    logger: logLevel === 'silent' ? false : loggerOptions(logLevel, name),
  });
  // Devices keep their one connection open between check-ins, however long. Set here, because fastify takes 0 for its own default of 72 s.
  app.server.keepAliveTimeout = 0;
  app.addHook('onRoute', (route) => {
    assertLimit(route);
    noteRoute(app.server, route);
  });
  app.addHook('onRequest', beginActing);
  app.addHook('preValidation', goOnActing);
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(answerWith);
  app.setNotFoundHandler(() => {
    throw new HubError('not-found', 'there is nothing at this address: see /openapi.json on the operator listener');
  });
  return app.withTypeProvider<ZodTypeProvider>();
}

function answerWith(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const answer = request.server.server.listening ? asHubError(error) : stopping(error);
  // Never the request's headers or body: they carry tokens, keys and nonces.
  const line = { code: answer.code, method: request.method, route: request.routeOptions.url, status: answer.status };
  if (answer.status >= 500 && answer.code !== 'hub-stopping')
    request.log.error({ ...line, error: describe(error) }, answer.message);
  else request.log.info(line, answer.message);
  // A connection that ends while the client still sends takes the answer with it. What another route would read is read, and thrown away.
  if (answer.status === 413 && Number(request.headers['content-length']) <= discardedBytesMost)
    reply.removeHeader('connection');
  void reply.status(answer.status).send(bodyOf(answer));
}

// What is not HTTP has no request to answer: the same form, written by hand, and the connection ends. Whoever sent nothing in time, or not all
// of it, did nothing wrong that an answer could name: a hub under load reads late.
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

// Once the listener is closed the store follows: what is still under way fails for that reason alone.
function stopping(cause: unknown): HubError {
  return new HubError('hub-stopping', 'the hub is stopping', { cause });
}

function asHubError(error: unknown): HubError {
  if (error instanceof HubError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const first = error.validation[0];
    return new HubError(
      'request-invalid',
      `the request${first?.instancePath ?? ''}: ${first?.message ?? 'does not match'}`,
    );
  }
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
