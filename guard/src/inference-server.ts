// The Open Inference Protocol v2 over HTTP/1.1 on connections that the agent passes; the server itself never listens. Follows
// spec/inference.md.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isLoopbackRequest } from '@edgekeep/core/loopback-request';
import type { GuardDoor } from '@edgekeep/core/model/guard-protocol';
import { Counts } from './counts.ts';
import { GuardError, type GuardErrorCode } from './error.ts';
import type { GuardedModel } from './guarded-model.ts';
import { parseInferenceRequest } from './inference-request.ts';
import { encodeInferenceResponse, type EncodedResponse } from './inference-response.ts';
import { SerialQueue } from './serial-queue.ts';
import {
  CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  HEADERS_MS_MAX,
  IDLE_MS_MAX,
  REQUEST_MS_MAX,
  RETIRE_MS_MAX,
  WAITING_MAX,
  WAITING_MS_MAX,
} from './limits.ts';
import { BodyBudget } from './request-body.ts';
import { routeOf, type Route } from './routes.ts';
import type { TensorInterface } from './tensor.ts';

const statusOf: Readonly<Record<GuardErrorCode, number>> = {
  'request-invalid': 400,
  'request-too-large': 413,
  'encoding-unsupported': 415,
  'origin-refused': 403,
  'path-unknown': 404,
  'model-unknown': 404,
  'method-not-allowed': 405,
  'queue-full': 429,
  'queue-timeout': 503,
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
  readonly counts = new Counts();
  readonly #model: GuardedModel;
  readonly #version: string;
  readonly #http: Server;
  readonly #lane = new SerialQueue(WAITING_MAX, WAITING_MS_MAX);
  readonly #bodies = new BodyBudget();
  readonly #sockets = new Set<Socket>();
  /** Connections over TCP, which a web page can open. */
  readonly #loopback = new WeakSet<Socket>();
  #retiring: PromiseWithResolvers<void> | undefined;
  #stopping = false;

  /** `version` is the guard's own. */
  constructor(model: GuardedModel, version: string) {
    this.#model = model;
    this.#version = version;
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
    if (this.#stopping || this.#retiring !== undefined || this.#sockets.size >= CONNECTIONS_MAX) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    if (kind === 'loopback') this.#loopback.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (this.#sockets.size === 0) this.#retiring?.resolve();
    });
    this.#http.emit('connection', socket);
  }

  /**
   * Accepts no new connection, and closes each open one with its next answer. Resolves when the last one closed, or after `withinMs`: a
   * request under way is answered; a connection that is only kept open is not waited for.
   */
  async retire(withinMs = RETIRE_MS_MAX): Promise<void> {
    this.#retiring ??= Promise.withResolvers();
    if (this.#sockets.size === 0) return;
    const timer = setTimeout(this.#retiring.resolve, withinMs);
    await this.#retiring.promise;
    clearTimeout(timer);
  }

  /** Answers the queued requests, then closes every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#retiring?.resolve();
    await this.#lane.idle();
    // One turn of the event loop, so that the last answers reach their sockets.
    await new Promise((resolve) => setImmediate(resolve));
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
        this.#assertServed(route);
        this.#send(response, 200, await this.#infer(request, response));
      } else {
        this.#send(response, 200, json(this.#describe(route)));
      }
    } catch (error) {
      this.#refuse(request, response, error);
    }
  }

  #describe(route: Route): unknown {
    switch (route.kind) {
      case 'server-metadata':
        return { name: 'edgekeep-guard', version: this.#version, extensions: ['binary_tensor_data'] };
      case 'server-live':
        return { live: true };
      case 'server-ready':
        // The protocol's text says `live` here, its OpenAPI file `ready`.
        return { live: !this.#stopping, ready: !this.#stopping };
      case 'model-ready':
        this.#assertServed(route);
        return { name: this.#model.name, ready: !this.#stopping };
      case 'model-metadata':
      case 'infer':
        this.#assertServed(route);
        return {
          name: this.#model.name,
          versions: [this.#model.version],
          platform: 'onnxruntime_onnx',
          inputs: this.#model.inputs.map(tensorMetadata),
          outputs: this.#model.outputs.map(tensorMetadata),
        };
    }
  }

  async #infer(request: IncomingMessage, response: ServerResponse): Promise<EncodedResponse> {
    const headerLength = parseHeaderLength(request.headers['inference-header-content-length']);
    return this.#bodies.withBody(request, async (body) => {
      const parsed = parseInferenceRequest(body, headerLength, this.#model);
      return this.#lane.run(async () => {
        if (this.#stopping) throw new GuardError('stopping', 'the model is being withdrawn');
        // The client is gone: nobody reads the answer.
        if (response.destroyed) throw new GuardError('request-invalid', 'the connection was closed');
        const inference = await this.#model.infer(parsed);
        const encoded = encodeInferenceResponse(this.#model, parsed, inference);
        this.counts.addAnswer(inference.assessments);
        return encoded;
      });
    });
  }

  #assertServed(route: { readonly model?: string; readonly version?: string | undefined }): void {
    if (route.model !== this.#model.name || (route.version ?? this.#model.version) !== this.#model.version) {
      throw new GuardError('model-unknown', `this guard serves ${this.#model.name} ${this.#model.version}`);
    }
  }

  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const code = error instanceof GuardError ? error.code : undefined;
    const status = code === undefined ? 500 : statusOf[code];
    if (status >= 500) this.counts.addFailed();
    else this.counts.addRefused();
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const message = error instanceof GuardError ? `${error.code}: ${error.message}` : 'internal: the guard failed';
    if (status === 429 || status === 503) response.setHeader('Retry-After', '1');
    // A body that is not needed is not read to its end.
    if (!request.complete) response.setHeader('Connection', 'close');
    this.#send(response, status, json({ error: message }));
  }

  #send(response: ServerResponse, status: number, { body, headerLength }: EncodedResponse): void {
    const binary = headerLength === undefined ? {} : { 'Inference-Header-Content-Length': String(headerLength) };
    // The next request belongs to the next server.
    const last = this.#retiring === undefined ? {} : { Connection: 'close' };
    response.writeHead(status, {
      'Content-Type': headerLength === undefined ? 'application/json' : 'application/octet-stream',
      'Content-Length': body.length,
      'Cache-Control': 'no-store',
      ...binary,
      ...last,
    });
    response.end(body);
  }
}

function tensorMetadata({ name, datatype, shape }: TensorInterface) {
  return { name, datatype, shape };
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
