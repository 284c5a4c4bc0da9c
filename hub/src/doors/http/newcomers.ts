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
  { admits = () => true, hasRoom = () => true }: NewcomerRules = {},
): void {
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  const networks = new Map<string, Network>();
  let begun = 0;
  let waitingCount = 0;
  let turnIsDue = false;
  let later: NodeJS.Timeout | undefined;

  const mayBegin = (name: string, network: Network) =>
    begun < limits.begunEachTurn &&
    network.begun < limits.begunEachTurnByNetwork &&
    network.underWay < limits.underWayByNetwork &&
    hasRoom(name);

  const begin = (socket: Socket, network: Network) => {
    begun += 1;
    network.begun += 1;
    network.underWay += 1;
    underWay.set(socket, network);
    const peer = peerOf(socket);
    if (peer !== undefined) byPeer.set(peer, socket);
    socket.once('close', () => {
      ended(socket);
      if (peer !== undefined) byPeer.delete(peer);
    });
    for (const listener of listeners) Reflect.apply(listener, server, [socket]);
  };
  // Between the TCP connection and the TLS session on it.
  const underWay = new Map<Socket, Network>();
  const byPeer = new Map<string, Socket>();
  const ended = (socket: Socket) => {
    const network = underWay.get(socket);
    if (network === undefined) return;
    underWay.delete(socket);
    network.underWay -= 1;
    if (network.waiting.size > 0) nextTurn();
  };
  const leave = (socket: Socket, network: Network) => {
    if (network.waiting.delete(socket)) waitingCount -= 1;
  };
  const turn = () => {
    turnIsDue = false;
    clearTimeout(later);
    later = undefined;
    begun = 0;
    const now = performance.now();
    for (const [name, network] of networks) {
      network.begun = 0;
      if (network.waiting.size === 0 && network.underWay === 0) networks.delete(name);
      for (const [socket, sinceMs] of network.waiting) {
        if (now - sinceMs <= limits.maxWaitMs) break;
        leave(socket, network);
        socket.destroy();
      }
    }
    // One of each network, then the next of each.
    for (let more = true; more && begun < limits.begunEachTurn;) {
      more = false;
      for (const [name, network] of networks) {
        const [socket] = network.waiting.keys();
        if (socket === undefined || !mayBegin(name, network)) continue;
        leave(socket, network);
        begin(socket, network);
        more = true;
        // The network that was served last goes to the end.
        networks.delete(name);
        networks.set(name, network);
        if (begun >= limits.begunEachTurn) break;
      }
    }
    if (begun > 0) nextTurn();
    else if (waitingCount > 0) later ??= setTimeout(nextTurn, lookEveryMilliseconds).unref();
  };
  const nextTurn = () => {
    if (turnIsDue) return;
    turnIsDue = true;
    setImmediate(turn);
  };

  server.on('secureConnection', (socket: Socket) => {
    const raw = byPeer.get(peerOf(socket) ?? '');
    if (raw !== undefined) ended(raw);
  });
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? 'unknown';
    if (!admits(address)) return void socket.destroy();
    nextTurn();
    const name = networkOf(address);
    const network = networks.get(name) ?? { begun: 0, underWay: 0, waiting: new Map<Socket, number>() };
    networks.set(name, network);
    if (network.waiting.size === 0 && mayBegin(name, network)) return begin(socket, network);
    if (waitingCount >= limits.maxWaiting) return void socket.destroy();
    waitingCount += 1;
    network.waiting.set(socket, performance.now());
    // The error of a connection that ends while it waits needs no handling.
    socket.on('error', () => {}).once('close', () => leave(socket, network));
  });
}

// The TLS socket on a TCP connection has the same address and port.
function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remotePort === undefined ? undefined : `${remoteAddress} ${remotePort}`;
}
