// New connections wait their turn. When a whole fleet reconnects at once and all handshakes begin at once, they all end at once: too late
// for the timeout of every device, and with the memory of all of them. Begun a few at a time, longest waiting first, the first are served
// while each of the others costs only a socket. A connection that waited longer than devices do is closed before any work is done for it.
// Networks take turns: a network with thousands of connections takes no turn of another, and has a limited number of handshakes under way,
// even if it is slow.
import type { Server, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { networkOf } from '../../address/network-of.ts';

export interface NewcomerLimits {
  /** Handshakes that begin in one turn of the event loop: work under way comes first, so a slow turn begins fewer. */
  readonly begunEachTurn: number;
  /** Of those, the limit for one network. */
  readonly begunEachTurnByNetwork: number;
  /** Handshakes of one network that are under way at once. */
  readonly underWayByNetwork: number;
  /** A device gives up after ten seconds (wire/src/link/hub-connection.ts), handshake included. */
  readonly maxWaitMs: number;
  /** When more than this wait, the next is closed at once: its system tries again, and by then its turn may have come. */
  readonly maxWaiting: number;
}

export const newcomerLimits: NewcomerLimits = {
  begunEachTurn: 16,
  begunEachTurnByNetwork: 4,
  underWayByNetwork: 256,
  maxWaitMs: 5_000,
  maxWaiting: 16_384,
};

// How often expired connections are closed while nothing else happens.
const lookEveryMilliseconds = 500;

interface Network {
  begun: number;
  underWay: number;
  /** In the order of arrival. */
  readonly waiting: Map<Socket, number>;
}

export interface NewcomerRules {
  /** Called first: a connection from an address that it refuses is cut. */
  readonly admits?: (address: string) => boolean;
  /** Whether the network may have another connection now; until then its new connections wait. */
  readonly hasRoom?: (network: string) => boolean;
}

/** Puts a queue before the server's handling of a new connection. Call it when the server is made. */
export function queueNewcomers(
  server: Server,
  limits: NewcomerLimits = newcomerLimits,
  rules: NewcomerRules = {},
): void {
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  const queue = new NewcomerQueue(limits, rules, (socket) => {
    for (const listener of listeners) Reflect.apply(listener, server, [socket]);
  });
  server.on('secureConnection', (socket: Socket) => queue.secured(socket));
  server.on('connection', (socket: Socket) => queue.add(socket));
}

class NewcomerQueue {
  readonly #limits: NewcomerLimits;
  readonly #rules: NewcomerRules;
  readonly #handle: (socket: Socket) => void;
  readonly #networks = new Map<string, Network>();
  /** Between the TCP connection and the TLS session on it. */
  readonly #underWay = new Map<Socket, Network>();
  readonly #byPeer = new Map<string, Socket>();
  #begun = 0;
  #waiting = 0;
  #turnIsDue = false;
  #later: NodeJS.Timeout | undefined;

  constructor(limits: NewcomerLimits, rules: NewcomerRules, handle: (socket: Socket) => void) {
    this.#limits = limits;
    this.#rules = rules;
    this.#handle = handle;
  }

  /** A new TCP connection: it begins, waits, or is cut. */
  add(socket: Socket): void {
    const address = socket.remoteAddress ?? 'unknown';
    if (this.#rules.admits?.(address) === false) return void socket.destroy();
    this.#nextTurn();
    const name = networkOf(address);
    const network = this.#networks.get(name) ?? { begun: 0, underWay: 0, waiting: new Map<Socket, number>() };
    this.#networks.set(name, network);
    if (network.waiting.size === 0 && this.#mayBegin(name, network)) return this.#begin(socket, network);
    if (this.#waiting >= this.#limits.maxWaiting) return void socket.destroy();
    this.#waiting += 1;
    network.waiting.set(socket, performance.now());
    // The error of a connection that ends while it waits needs no handling.
    socket.on('error', () => {}).once('close', () => this.#leave(socket, network));
  }

  /** The handshake on a connection is done. */
  secured(socket: Socket): void {
    const raw = this.#byPeer.get(peerOf(socket) ?? '');
    if (raw !== undefined) this.#ended(raw);
  }

  #mayBegin(name: string, network: Network): boolean {
    const { begunEachTurn, begunEachTurnByNetwork, underWayByNetwork } = this.#limits;
    return (
      this.#begun < begunEachTurn &&
      network.begun < begunEachTurnByNetwork &&
      network.underWay < underWayByNetwork &&
      this.#rules.hasRoom?.(name) !== false
    );
  }

  #begin(socket: Socket, network: Network): void {
    this.#begun += 1;
    network.begun += 1;
    network.underWay += 1;
    this.#underWay.set(socket, network);
    const peer = peerOf(socket);
    if (peer !== undefined) this.#byPeer.set(peer, socket);
    socket.once('close', () => {
      this.#ended(socket);
      if (peer !== undefined) this.#byPeer.delete(peer);
    });
    this.#handle(socket);
  }

  #ended(socket: Socket): void {
    const network = this.#underWay.get(socket);
    if (network === undefined) return;
    this.#underWay.delete(socket);
    network.underWay -= 1;
    if (network.waiting.size > 0) this.#nextTurn();
  }

  #leave(socket: Socket, network: Network): void {
    if (network.waiting.delete(socket)) this.#waiting -= 1;
  }

  readonly #nextTurn = (): void => {
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    setImmediate(() => this.#turn());
  };

  #turn(): void {
    this.#turnIsDue = false;
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#begun = 0;
    this.#cutLateWaiters();
    while (this.#oneOfEachNetwork());
    if (this.#begun > 0) this.#nextTurn();
    else if (this.#waiting > 0) this.#later ??= setTimeout(this.#nextTurn, lookEveryMilliseconds).unref();
  }

  #cutLateWaiters(): void {
    const now = performance.now();
    for (const [name, network] of this.#networks) {
      network.begun = 0;
      if (network.waiting.size === 0 && network.underWay === 0) this.#networks.delete(name);
      for (const [socket, sinceMs] of network.waiting) {
        if (now - sinceMs <= this.#limits.maxWaitMs) break;
        this.#leave(socket, network);
        socket.destroy();
      }
    }
  }

  /** Begins one connection of each network; false when none may begin. */
  #oneOfEachNetwork(): boolean {
    let more = false;
    for (const [name, network] of this.#networks) {
      if (this.#begun >= this.#limits.begunEachTurn) return false;
      const [socket] = network.waiting.keys();
      if (socket === undefined || !this.#mayBegin(name, network)) continue;
      this.#leave(socket, network);
      this.#begin(socket, network);
      more = true;
      // The network that was served last goes to the end.
      this.#networks.delete(name);
      this.#networks.set(name, network);
    }
    return more;
  }
}

// The TLS socket on a TCP connection has the same address and port.
function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remotePort === undefined ? undefined : `${remoteAddress} ${remotePort}`;
}
