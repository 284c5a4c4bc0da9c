// Where applications reach a model: a Unix socket and, if enabled, a loopback TCP port. Each guard inherits its own listening socket and
// accepts connections from it without the agent. One rename moves the public name to it when the guard serves. While no guard serves, the
// name leads to the agent, which answers 503 and says why. Follows spec/inference.md section 1.
import { messageOf } from '@edgekeep/core/message-of';
import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { AgentError } from '../error.ts';
import { refuse } from './refuse.ts';
import { notYet, type Unavailable } from './unavailable.ts';
import { backlog, Door, GuardDoors, listening, type UnitDoors, socketMode } from './doors.ts';

/** The same limit as a guard's (guard/src/limits.ts). */
const CONNECTIONS_MAX = 128;
/** What changes while a listener is open. */
interface Present {
  /** Where connections over TCP go. */
  loopback: string | undefined;
  unavailable: Unavailable;
}

export interface ListenerOptions {
  readonly socketPath: string;
  /** A port on 127.0.0.1, 0 for any free one; absent: no TCP. */
  readonly loopbackPort?: number | undefined;
}

/** The part of a guard that handles connections. */
export interface ServingGuard {
  readonly doors: GuardDoors | UnitDoors | undefined;
  readonly exited: Promise<unknown>;
}

export class GuardListener {
  readonly #socketPath: string;
  readonly #responder: Door;
  readonly #tcp: Server | undefined;
  readonly #present: Present;
  #serving: ServingGuard | undefined;

  /** @throws AgentError `guard-listener` */
  static async open({ socketPath, loopbackPort }: ListenerOptions): Promise<GuardListener> {
    const present: Present = { loopback: undefined, unavailable: notYet };
    let responder: Door | undefined;
    try {
      responder = await Door.listen(dirname(socketPath), socketMode, (socket) => refuse(socket, present.unavailable));
      const tcp = loopbackPort === undefined ? undefined : await listenOnLoopback(present, loopbackPort);
      const listener = new GuardListener(socketPath, responder, tcp, present);
      listener.serve(undefined);
      return listener;
    } catch (cause) {
      responder?.[Symbol.dispose]();
      const message = messageOf(cause);
      throw new AgentError('guard-listener', `cannot listen for inference requests: ${message}`, { cause });
    }
  }

  private constructor(socketPath: string, responder: Door, tcp: Server | undefined, present: Present) {
    this.#socketPath = socketPath;
    this.#responder = responder;
    this.#tcp = tcp;
    this.#present = present;
  }

  /** The TCP port in use, when there is one. */
  get loopbackPort(): number | undefined {
    const address = this.#tcp?.address();
    return isAddress(address) ? address.port : undefined;
  }

  /** Sockets for a guard that is to be started. */
  async prepare(): Promise<GuardDoors> {
    return GuardDoors.make(dirname(this.#socketPath), this.#tcp !== undefined);
  }

  /** New connections go to this guard from now on, until it ends; without a guard, or for one without sockets, the answer is 503. */
  serve(guard: ServingGuard | undefined): void {
    this.#serving = guard;
    this.#present.loopback = guard?.doors?.loopback;
    if (guard?.doors === undefined) return this.#responder.appearAs(this.#socketPath);
    if (guard.doors.kind === 'unit') pointTo(guard.doors.local, this.#socketPath);
    else renameSync(guard.doors.local, this.#socketPath);
    void this.#takeBack(guard);
  }

  /** What applications read while no guard serves. */
  explain(unavailable: Unavailable): void {
    this.#present.unavailable = unavailable;
  }

  async #takeBack(guard: ServingGuard): Promise<void> {
    await guard.exited;
    if (this.#serving === guard) this.serve(undefined);
  }

  [Symbol.dispose](): void {
    this.#serving = undefined;
    this.#present.loopback = undefined;
    // The name is removed at once. Node's `close` event would wait for connections.
    rmSync(this.#socketPath, { force: true });
    this.#responder[Symbol.dispose]();
    this.#tcp?.close();
  }
}

// TCP has no name to rename, and a guard has no network: the agent forwards the bytes, unread.
async function listenOnLoopback(present: Readonly<Present>, port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    if (present.loopback === undefined) return refuse(socket, present.unavailable);
    const guard = connect({ path: present.loopback, allowHalfOpen: true });
    guard.once('connect', () => {
      socket.pipe(guard);
      guard.pipe(socket);
    });
    guard.once('error', () =>
      guard.connecting || guard.bytesRead === 0 ? refuse(socket, present.unavailable) : socket.destroy(),
    );
    guard.once('close', () => socket.destroySoon());
    socket.once('close', () => guard.destroy());
  });
  server.maxConnections = CONNECTIONS_MAX;
  await listening(server, { host: '127.0.0.1', port, backlog });
  return server;
}

/** The name becomes a link to the socket of a unit, which cannot be renamed. */
function pointTo(socket: string, name: string): void {
  const link = join(dirname(name), `.${process.pid.toString(36)}-link`);
  rmSync(link, { force: true });
  symlinkSync(socket, link);
  renameSync(link, name);
}

function isAddress(address: AddressInfo | string | null | undefined): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
