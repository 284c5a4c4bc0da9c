// A small HTTP server: GET only, no bodies, few connections, short deadlines. For programs on this device on a Unix socket or on loopback; for
// other machines by TLS, where an operator opens a door.
import { messageOf } from '@edgekeep/core/message-of';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { isLoopbackRequest } from '@edgekeep/core/loopback-request';
import { AgentError } from '../error.ts';
import { limitByNetwork } from './limit-by-network.ts';

export type Answerer = (request: LocalRequest, response: ServerResponse) => Promise<void>;

export interface LocalRequest {
  /** Percent-decoded segments of the path. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
}

export type LocalAddress =
  | { readonly kind: 'socket'; readonly path: string; readonly mode: number }
  | { readonly kind: 'loopback'; readonly port: number }
  /** By TLS, for other machines. */
  | {
      readonly kind: 'network';
      readonly host: string;
      readonly port: number;
      /** PEM. */
      readonly tls: { readonly cert: Uint8Array; readonly key: Uint8Array };
    };

/** Several monitors and one person. */
const CONNECTIONS_MAX = 32;
/** Of one address, where strangers ask. */
const NETWORK_CONNECTIONS_MAX = 8;
const HEADER_BYTES_MAX = 4_096;
const headersTimeoutMs = 5_000;
/** How often Node looks for requests beyond their time: half a minute unless said. */
const checkMs = 1_000;
const idleMsDefault = 5_000;
const URL_CHARACTERS_MAX = 2_048;

export class LocalServer {
  readonly #server: Server;

  /** `idleMs` is how long a connection may stay open after an answer, 0 for no limit. Throws `local-listener`. */
  static async open(where: LocalAddress, answer: Answerer, idleMs = idleMsDefault): Promise<LocalServer> {
    const server = serverFor(where, (request, response) => void respond(where, answer, request, response));
    server.keepAliveTimeout = idleMs;
    server.maxConnections = CONNECTIONS_MAX;
    if (where.kind === 'network') limitByNetwork(server, NETWORK_CONNECTIONS_MAX);
    // A request is only its head, so the deadline of the body is that of the head; an answer may take as long as its reader.
    server.requestTimeout = headersTimeoutMs;
    const listening = Promise.withResolvers<void>();
    server.once('error', listening.reject);
    try {
      // A file that a killed agent left.
      if (where.kind === 'socket') await rm(where.path, { force: true });
      server.listen(
        where.kind === 'socket' ? { path: where.path } : { host: hostOf(where), port: where.port },
        listening.resolve,
      );
      await listening.promise;
      if (where.kind === 'socket') await chmod(where.path, where.mode);
    } catch (cause) {
      server.close();
      const message = messageOf(cause);
      throw new AgentError('local-listener', `cannot listen for local requests: ${message}`, { cause });
    }
    return new LocalServer(server);
  }

  private constructor(server: Server) {
    this.#server = server;
  }

  /** The TCP port in use; undefined on a Unix socket. */
  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function hostOf(where: Exclude<LocalAddress, { kind: 'socket' }>): string {
  return where.kind === 'network' ? where.host : '127.0.0.1';
}

/** Throws `local-listener` for a certificate or key that OpenSSL does not take. */
function serverFor(where: LocalAddress, listener: RequestListener): Server {
  const limits = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: checkMs,
  };
  if (where.kind !== 'network') return createServer(limits, listener);
  const { cert, key } = where.tls;
  try {
    const tls = {
      cert: Buffer.from(cert),
      key: Buffer.from(key),
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
    } as const;
    return createTlsServer({ ...limits, ...tls, handshakeTimeout: headersTimeoutMs }, listener);
  } catch (cause) {
    throw new AgentError('local-listener', `its certificate and key cannot be used: ${messageOf(cause)}`, { cause });
  }
}

async function respond(
  where: LocalAddress,
  answer: Answerer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    if (request.method !== 'GET') return sendError(response, 405, 'method-not-allowed', 'GET only');
    if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
      return sendError(response, 413, 'payload-too-large', 'a request must have no body');
    }
    if (where.kind === 'loopback' && !isLoopbackRequest(request.headers)) {
      return sendError(response, 403, 'origin-refused', 'not for web pages: ask 127.0.0.1, without an Origin header');
    }
    const asked = parseTarget(request.url ?? '');
    if (asked === undefined) return sendError(response, 400, 'request-invalid', 'not a path of this API');
    await answer(asked, response);
  } catch {
    // The agent reports the failure; the client gets no details.
    if (response.headersSent) response.destroy();
    else sendError(response, 500, 'failed', 'the agent could not do this: its log has the reason');
  }
}

function parseTarget(target: string): LocalRequest | undefined {
  if (target.length > URL_CHARACTERS_MAX || !target.startsWith('/')) return undefined;
  const [path = '', query = ''] = target.split('?', 2);
  try {
    return { segments: path.slice(1).split('/').map(decodeURIComponent), query: new URLSearchParams(query) };
  } catch (error) {
    // A `%` that starts no valid escape.
    if (!(error instanceof URIError)) throw error;
    return undefined;
  }
}

export function sendJson(response: ServerResponse, value: object, status = 200): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': body.length,
    'cache-control': 'no-store',
  });
  response.end(body);
}

export function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  sendJson(response, { error: { code, message } }, status);
}
