// New connections wait their turn. When a whole fleet reconnects at once and all handshakes begin at once, they all end at once: too late
// for the timeout of every device, and with the memory of all of them. Begun one after the other, longest waiting first, the first are
// served while each of the others costs only a socket. A handshake begins when its whole ClientHello has come: an attacker who holds back
// its last byte costs no key exchange, and hundreds held back are not worked on in one moment. A connection that waited longer than devices
// do is closed before any work is done for it. Networks take turns: a network with thousands of connections takes no turn of another, has a
// limited number of handshakes under way, even if it is slow, and is the one that loses connections when too many wait. After a turn that took
// long the queue rests as long: the others have at least half of the event loop, also while thousands of connections come.
import type { Server, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { BalancedConnections } from './balanced.ts';
import { connectionName } from './client-address.ts';
import { networkOf } from '@edgekeep/core/canonical/network-of';
import { whenHelloIsWhole } from './client-hello.ts';

export interface NewcomerLimits {
  /** Handshakes that begin in one turn of the event loop: work under way comes first, so a slow turn begins fewer. */
  readonly begunEachTurn: number;
  /** Of those, the limit for one network. */
  readonly begunEachTurnByNetwork: number;
  /** Handshakes of one network that are under way at once. */
  readonly underWayByNetwork: number;
  /** A device gives up after ten seconds (wire/src/link/hub-connection.ts), handshake included. */
  readonly maxWaitMs: number;
  /** When more than this wait, the network with the most loses one. Its system tries again, and by then its turn may have come. */
  readonly maxWaiting: number;
}

export const newcomerLimits: NewcomerLimits = {
  begunEachTurn: 4,
  begunEachTurnByNetwork: 1,
  underWayByNetwork: 256,
  maxWaitMs: 5_000,
  maxWaiting: 16_384,
};

// A turn of less than this is no work worth a rest; timers count whole milliseconds.
const workMilliseconds = 0.25;
// How often those that waited too long are looked for.
const lookEveryMilliseconds = 500;

interface Network {
  readonly name: string;
  /** Begun in the turn of that number. */
  begun: number;
  turn: number;
  underWay: number;
  /** Those that have not sent a whole ClientHello, and since when they are here. */
  readonly silent: Map<Socket, number>;
  /** Those that have, and since when; in that order. */
  readonly ready: Map<Socket, number>;
}

export interface NewcomerRules {
  /** Called first: a connection from an address that it refuses is cut. */
  readonly admits?: (address: string) => boolean;
  /** Whether the network may have another connection now; until then its new connections wait. */
  readonly hasRoom?: (network: string) => boolean;
  /** Comes before the queue: what balancers send first. */
  readonly balanced?: BalancedConnections;
}

/** How the queue sees time; milliseconds. */
interface NewcomerTime {
  readonly now: () => number;
  readonly after: (milliseconds: number, work: () => void) => void;
}

const machineTime: NewcomerTime = {
  now: () => performance.now(),
  after: (milliseconds, work) => void setTimeout(work, milliseconds),
};

/** Puts a queue before the server's handling of a new connection. Call it when the server is made. */
export function queueNewcomers(
  server: Server,
  limits: NewcomerLimits = newcomerLimits,
  rules: NewcomerRules = {},
  time: NewcomerTime = machineTime,
): void {
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  const queue = new NewcomerQueue(limits, rules, time, (socket) => {
    for (const listener of listeners) Reflect.apply(listener, server, [socket]);
  });
  const { balanced } = rules;
  server.prependListener('secureConnection', (socket: Socket) => {
    // Reset by its client in the meantime: what it sent is still read, and its address is not known any more.
    if (socket.remoteAddress === undefined) socket.destroy();
  });
  server.on('secureConnection', (socket: Socket) => queue.secured(socket));
  balanced?.follow(server);
  server.on('connection', (socket: Socket) => {
    if (balanced === undefined) return queue.add(socket);
    if (rules.admits?.(socket.remoteAddress ?? 'unknown') === false) return void socket.destroy();
    balanced.receive(socket, () => queue.add(socket));
  });
}

class NewcomerQueue {
  readonly #limits: NewcomerLimits;
  readonly #rules: NewcomerRules;
  readonly #time: NewcomerTime;
  readonly #handle: (socket: Socket) => void;
  readonly #networks = new Map<string, Network>();
  /** Those with a connection that is ready, the one that was served last at the end. */
  readonly #ready = new Set<Network>();
  /** Between the ClientHello and the TLS session. */
  readonly #underWay = new Map<Socket, Network>();
  readonly #byPeer = new Map<string, Socket>();
  #turnNumber = 0;
  #begun = 0;
  #waiting = 0;
  #turnIsDue = false;
  #resting = false;
  #lookIsDue = false;

  constructor(limits: NewcomerLimits, rules: NewcomerRules, time: NewcomerTime, handle: (socket: Socket) => void) {
    this.#limits = limits;
    this.#rules = rules;
    this.#time = time;
    this.#handle = handle;
  }

  /** A new TCP connection: it waits for its ClientHello, or is cut. */
  add(socket: Socket): void {
    const address = socket.remoteAddress ?? 'unknown';
    if (this.#rules.admits?.(address) === false) return void socket.destroy();
    const network = this.#networkOf(address);
    if (this.#waiting >= this.#limits.maxWaiting && !this.#makeRoomFor(network)) return void socket.destroy();
    this.#waiting += 1;
    network.silent.set(socket, this.#time.now());
    // The error of a connection that ends while it waits needs no handling.
    socket.on('error', () => {}).once('close', () => this.#leave(socket, network));
    const ready = () => {
      network.silent.delete(socket);
      network.ready.set(socket, this.#time.now());
      this.#ready.add(network);
      this.#nextTurn();
    };
    whenHelloIsWhole(socket, ready, (bytes) => this.#rules.balanced?.noteForeign(socket, bytes));
    this.#lookLater();
  }

  /** The handshake on a connection is done. */
  secured(socket: Socket): void {
    const raw = this.#byPeer.get(connectionName(socket) ?? '');
    if (raw !== undefined) this.#ended(raw);
  }

  #networkOf(address: string): Network {
    const name = networkOf(address);
    const known = this.#networks.get(name);
    if (known !== undefined) return known;
    const network = { name, begun: 0, turn: 0, underWay: 0, silent: new Map(), ready: new Map() };
    this.#networks.set(name, network);
    return network;
  }

  /** Cuts the longest waiting of the network with the most, the silent ones first; false when no other network has more. */
  #makeRoomFor(newcomer: Network): boolean {
    let crowd = newcomer;
    for (const network of this.#networks.values()) if (waitingOf(network) > waitingOf(crowd)) crowd = network;
    if (waitingOf(crowd) <= waitingOf(newcomer) + 1) return false;
    const [longest] = crowd.silent.size > 0 ? crowd.silent.keys() : crowd.ready.keys();
    if (longest === undefined) return false;
    this.#leave(longest, crowd);
    longest.destroy();
    return true;
  }

  #mayBegin(network: Network): boolean {
    const { begunEachTurnByNetwork, underWayByNetwork } = this.#limits;
    const begun = network.turn === this.#turnNumber ? network.begun : 0;
    return (
      begun < begunEachTurnByNetwork &&
      network.underWay < underWayByNetwork &&
      this.#rules.hasRoom?.(network.name) !== false
    );
  }

  #begin(socket: Socket, network: Network): void {
    this.#leave(socket, network);
    this.#begun += 1;
    network.begun = network.turn === this.#turnNumber ? network.begun + 1 : 1;
    network.turn = this.#turnNumber;
    network.underWay += 1;
    this.#underWay.set(socket, network);
    const peer = connectionName(socket);
    if (peer !== undefined) this.#byPeer.set(peer, socket);
    socket.once('close', () => {
      this.#ended(socket);
      if (peer !== undefined && this.#byPeer.get(peer) === socket) this.#byPeer.delete(peer);
    });
    this.#handle(socket);
  }

  #ended(socket: Socket): void {
    const network = this.#underWay.get(socket);
    if (network === undefined) return;
    this.#underWay.delete(socket);
    network.underWay -= 1;
    this.#forgetIdle(network);
    if (network.ready.size > 0) this.#nextTurn();
  }

  #leave(socket: Socket, network: Network): void {
    if (!network.silent.delete(socket) && !network.ready.delete(socket)) return;
    this.#waiting -= 1;
    if (network.ready.size === 0) this.#ready.delete(network);
    this.#forgetIdle(network);
  }

  #forgetIdle(network: Network): void {
    if (waitingOf(network) === 0 && network.underWay === 0) this.#networks.delete(network.name);
  }

  #nextTurn(): void {
    if (this.#turnIsDue || this.#resting) return;
    this.#turnIsDue = true;
    setImmediate(() => this.#turn());
  }

  #rest(milliseconds: number): void {
    this.#resting = true;
    this.#time.after(milliseconds, () => {
      this.#resting = false;
      if (this.#ready.size > 0) this.#nextTurn();
    });
  }

  #turn(): void {
    const beganMs = this.#time.now();
    this.#turnIsDue = false;
    this.#turnNumber += 1;
    this.#begun = 0;
    // A network that was served comes again at the end of the same loop.
    for (const network of this.#ready) {
      if (this.#begun >= this.#limits.begunEachTurn) break;
      const [socket] = network.ready.keys();
      if (socket === undefined || !this.#mayBegin(network)) continue;
      this.#begin(socket, network);
      if (this.#ready.delete(network)) this.#ready.add(network);
    }
    const tookMs = this.#time.now() - beganMs;
    if (tookMs >= workMilliseconds) this.#rest(tookMs);
    else if (this.#begun > 0 && this.#ready.size > 0) this.#nextTurn();
  }

  #lookLater(): void {
    if (this.#lookIsDue) return;
    this.#lookIsDue = true;
    setTimeout(() => {
      this.#lookIsDue = false;
      this.#cutLateWaiters();
      // A network may have room again although none of its handshakes ended.
      this.#nextTurn();
      if (this.#waiting > 0) this.#lookLater();
    }, lookEveryMilliseconds).unref();
  }

  #cutLateWaiters(): void {
    const latestMs = this.#time.now() - this.#limits.maxWaitMs;
    for (const network of this.#networks.values())
      for (const waiting of [network.silent, network.ready])
        for (const [socket, sinceMs] of waiting) {
          if (sinceMs >= latestMs) break;
          this.#leave(socket, network);
          socket.destroy();
        }
  }
}

function waitingOf({ silent, ready }: Network): number {
  return silent.size + ready.size;
}
