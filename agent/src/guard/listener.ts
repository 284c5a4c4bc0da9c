// Where applications reach a model: a Unix socket and, if enabled, a loopback TCP port. They belong to the agent and outlive guards;
// each connection goes, unread, to the guard that serves now. Follows spec/inference.md section 1.
import { chmod, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { AgentError } from '../error.ts';
import type { GuardProcess } from './process.ts';

/** Owner and group may ask the model: which group is the operator's choice by the folder's ownership. */
const socketMode = 0o660;
/** Connections that wait to be accepted. */
const backlog = 64;

const unavailableBody = JSON.stringify({ error: 'model-unavailable: the device holds no key for this model now' });
const unavailable = [
  'HTTP/1.1 503 Service Unavailable',
  'Content-Type: application/json',
  `Content-Length: ${unavailableBody.length}`,
  'Retry-After: 1',
  'Connection: close',
  '',
  unavailableBody,
].join('\r\n');

export interface ListenerOptions {
  readonly socketPath: string;
  /** A port on 127.0.0.1, 0 for any free one; absent: no TCP. */
  readonly loopbackPort?: number | undefined;
}

export class GuardListener {
  /** The TCP port in use, when there is one. */
  readonly loopbackPort: number | undefined;
  readonly #servers: readonly Server[];
  readonly #target: { guard: GuardProcess | undefined };

  /** @throws AgentError `guard-listener` */
  static async open(options: ListenerOptions): Promise<GuardListener> {
    const target: { guard: GuardProcess | undefined } = { guard: undefined };
    const servers: Server[] = [];
    try {
      // What a killed agent left behind.
      await rm(options.socketPath, { force: true });
      servers.push(await listen(target, { path: options.socketPath, backlog }));
      await chmod(options.socketPath, socketMode);
      if (options.loopbackPort !== undefined) {
        servers.push(await listen(target, { host: '127.0.0.1', port: options.loopbackPort, backlog }));
      }
    } catch (cause) {
      for (const server of servers) server.close();
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new AgentError('guard-listener', `cannot listen for inference requests: ${message}`, { cause });
    }
    return new GuardListener(servers, target);
  }

  private constructor(servers: readonly Server[], target: { guard: GuardProcess | undefined }) {
    this.#servers = servers;
    this.#target = target;
    this.loopbackPort = servers
      .map((server) => server.address())
      .find((address): address is AddressInfo => typeof address === 'object' && address !== null)?.port;
  }

  /** New connections go to this guard from now on; undefined answers them with 503. */
  serve(guard: GuardProcess | undefined): void {
    this.#target.guard = guard;
  }

  [Symbol.dispose](): void {
    this.#target.guard = undefined;
    // Listening ends, and the Unix socket is gone, at once. Node's `close` event would wait for connections that are the guard's by now.
    for (const server of this.#servers) server.close();
  }
}

async function listen(target: { readonly guard: GuardProcess | undefined }, where: object): Promise<Server> {
  // Paused: not a byte of a request is read in the process that holds the keys.
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    if (target.guard?.accept(socket) !== true) refuse(socket);
  });
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(where, listening.resolve);
  await listening.promise;
  return server;
}

function refuse(socket: Socket): void {
  socket.end(unavailable);
  socket.resume();
  // Whoever does not close after the answer is closed.
  socket.setTimeout(1_000, () => socket.destroy());
}
