// The Open Inference Protocol v2 over HTTP/1.1 on connections that the agent passes; the server itself never listens. Follows
// spec/inference.md.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isLoopbackRequest } from '@edgekeep/core/loopback-request';
import type { GuardDoor } from '@edgekeep/core/model/guard-protocol';
import { describe } from './describe.ts';
import { GuardError, type GuardErrorCode } from './error.ts';
import { onProtocol } from './first-bytes.ts';
import type { GrpcServer } from './grpc/server.ts';
import { parseInferenceRequest } from './inference-request.ts';
import { encodeInferenceResponse, type EncodedResponse } from './inference-response.ts';
import type { InferenceService } from './inference-service.ts';
import {
  CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  HEADERS_MS_MAX,
  IDLE_MS_MAX,
  REQUEST_MS_MAX,
  RETIRE_MS_MAX,
} from './limits.ts';
import { discardBody } from './request-body.ts';
import { packed } from './response-encoding.ts';
import { routeOf } from './routes.ts';

const statusOf: Readonly<Record<GuardErrorCode, number>> = {
  'request-invalid': 400,
  'request-too-large': 413,
  'encoding-unsupported': 415,
  'origin-refused': 403,
  'path-unknown': 404,
  'not-offered': 501,
  'model-unknown': 404,
  'service-unknown': 404,
  'method-not-allowed': 405,
  'queue-full': 429,
  'queue-timeout': 503,
  'deadline-exceeded': 504,
  stopping: 503,
  'output-not-representable': 422,
  'model-run': 500,
  'model-load': 500,
  'model-interface': 500,
  'file-read': 500,
  'order-invalid': 500,
};

/** How often Node checks requests against their time limit. */
const limitsCheckMs = 500;

export class InferenceServer {
  readonly #service: InferenceService;
  readonly #http: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections over TCP, which a web page can open. */
  readonly #loopback = new WeakSet<Socket>();
  #grpc: Promise<GrpcServer> | undefined;
  #retiring: PromiseWithResolvers<void> | undefined;

  constructor(service: InferenceService) {
    this.#service = service;
    this.#http = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: HEADERS_MS_MAX,
        requestTimeout: REQUEST_MS_MAX,
        connectionsCheckingInterval: limitsCheckMs,
        keepAliveTimeout: IDLE_MS_MAX,
        requireHostHeader: true,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#http.setTimeout(IDLE_MS_MAX);
    // Node starts watching the two time limits on `listening`, an event that this server does not have otherwise.
    this.#http.emit('listening');
  }

  /** Serves HTTP on a connection. One beyond the limit is closed. */
  accept(socket: Socket, kind: GuardDoor['kind'] = 'local'): void {
    if (this.#service.stopping || this.#retiring !== undefined || this.#sockets.size >= CONNECTIONS_MAX) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (this.#sockets.size === 0) this.#retiring?.resolve();
    });
    onProtocol(socket, (protocol) => {
      if (protocol === 'http2') return void this.#acceptGrpc(socket, kind);
      if (kind === 'loopback') this.#loopback.add(socket);
      this.#http.emit('connection', socket);
    });
  }

  async #acceptGrpc(socket: Socket, kind: GuardDoor['kind']): Promise<void> {
    // Loaded for the first client that speaks it: most devices have none, and it takes memory.
    this.#grpc ??= import('./grpc/server.ts').then(({ GrpcServer }) => new GrpcServer(this.#service));
    const grpc = await this.#grpc;
    if (socket.destroyed) return;
    grpc.accept(socket, kind);
    if (this.#retiring !== undefined) grpc.retire();
  }

  /**
   * Accepts no new connection, and closes each open one with its next answer. Resolves when the last one closed, or after `withinMs`: a
   * request under way is answered; a connection that is only kept open is not waited for.
   */
  async retire(withinMs = RETIRE_MS_MAX): Promise<void> {
    this.#retiring ??= Promise.withResolvers();
    (await this.#grpc)?.retire();
    if (this.#sockets.size === 0) return;
    const timer = setTimeout(this.#retiring.resolve, withinMs);
    await this.#retiring.promise;
    clearTimeout(timer);
  }

  /** Answers the queued requests, then closes every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#retiring?.resolve();
    await this.#service.stop();
    // One turn of the event loop, so that the last answers reach their sockets.
    await new Promise((resolve) => setImmediate(resolve));
    (await this.#grpc)?.[Symbol.dispose]();
    for (const socket of this.#sockets) socket.destroySoon();
    this.#http.closeAllConnections();
    this.#http.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    try {
      if (this.#loopback.has(request.socket) && !isLoopbackRequest(request.headers)) {
        throw new GuardError('origin-refused', 'not for web pages: ask 127.0.0.1, without an Origin header');
      }
      const route = routeOf(request.method ?? '', request.url ?? '');
      if (route.kind === 'infer') {
        this.#service.assertServed(route);
        await this.#send(request, response, 200, await this.#infer(request, response));
      } else {
        const described = json(describe(this.#service, route));
        // The body of such a request says nothing.
        await discardBody(request);
        await this.#send(request, response, 200, described);
      }
    } catch (error) {
      await this.#refuse(request, response, error);
    }
  }

  async #infer(request: IncomingMessage, response: ServerResponse): Promise<EncodedResponse> {
    const headerLength = parseHeaderLength(request.headers['inference-header-content-length']);
    const { bodies, model } = this.#service;
    return bodies.withBody(request, async (body) =>
      this.#service.answer({
        parse: (asked) => parseInferenceRequest(body, headerLength, asked),
        encode: (parsed, inference) => encodeInferenceResponse(model, parsed, inference),
        isGone: () => response.destroyed,
      }),
    );
  }

  async #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): Promise<void> {
    const code = error instanceof GuardError ? error.code : undefined;
    const status = code === undefined ? 500 : statusOf[code];
    this.#service.countRefusal(status >= 500 && status !== 501);
    // A client that sends its whole body before it reads gets the refusal, and no broken connection.
    const read = await discardBody(request).catch(() => false);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const message = error instanceof GuardError ? `${error.code}: ${error.message}` : 'internal: the guard failed';
    if (status === 429 || status === 503) response.setHeader('Retry-After', '1');
    if (status === 415) response.setHeader('Accept-Encoding', 'gzip, deflate');
    if (!read) response.setHeader('Connection', 'close');
    await this.#send(request, response, status, json({ error: message }));
  }

  async #send(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    { body, headerLength }: EncodedResponse,
  ): Promise<void> {
    const binary = headerLength === undefined ? {} : { 'Inference-Header-Content-Length': String(headerLength) };
    // The next request belongs to the next server.
    const last = this.#retiring === undefined ? {} : { Connection: 'close' };
    const { body: sent, encoding } = await packed(body, request.headers['accept-encoding']);
    response.writeHead(status, {
      'Content-Type': headerLength === undefined ? 'application/json' : 'application/octet-stream',
      'Content-Length': sent.length,
      'Cache-Control': 'no-store',
      ...(encoding === undefined ? {} : { 'Content-Encoding': encoding }),
      ...binary,
      ...last,
    });
    response.end(sent);
  }
}

function json(value: unknown): EncodedResponse {
  return { body: Buffer.from(JSON.stringify(value)), headerLength: undefined };
}

function parseHeaderLength(header: string | readonly string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (typeof header !== 'string' || !/^[0-9]{1,10}$/.test(header)) {
    throw new GuardError('request-invalid', 'Inference-Header-Content-Length is not a number');
  }
  return Number(header);
}
