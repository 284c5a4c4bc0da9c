// New connections wait their turn. When a whole fleet comes back at once, handshakes that are all begun at once all end at once: too late for
// every device's patience, and with the memory of all of them. Begun a few at a time, the longest waiting first, the first are served
// while the others still wait at the cost of a socket; and who waited longer than devices do is let go before any work is done for it.
import type { Server, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

export interface NewcomerLimits {
  /** Handshakes begun in one turn of the event loop: what is under way comes first, so a slow turn begins fewer. Nobody can hold a place. */
  readonly begunEachTurn: number;
  /** A device gives up after ten seconds (wire/src/hub-connection.ts), handshake included. */
  readonly waitMsMost: number;
  /** With more than this waiting, the next is let go at once: its system tries again, and by then it may be its turn. */
  readonly waitingMost: number;
}

export const newcomerLimits: NewcomerLimits = { begunEachTurn: 16, waitMsMost: 5_000, waitingMost: 16_384 };

/** Puts a queue before what the server does with a new connection. Call it when the server is made. */
export function queueNewcomers(server: Server, limits: NewcomerLimits = newcomerLimits): void {
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  // In the order of arrival.
  const waiting = new Map<Socket, number>();
  let begun = 0;
  let turnIsDue = false;

  const begin = (socket: Socket) => {
    begun += 1;
    for (const listener of listeners) Reflect.apply(listener, server, [socket]);
  };
  const leave = (socket: Socket) => {
    waiting.delete(socket);
    socket.off('error', ignore).off('close', gone);
  };
  function gone(this: Socket): void {
    leave(this);
  }
  const turn = () => {
    turnIsDue = false;
    begun = 0;
    const now = performance.now();
    for (const [socket, sinceMs] of waiting) {
      if (begun === limits.begunEachTurn) break;
      leave(socket);
      if (now - sinceMs > limits.waitMsMost) socket.destroy();
      else begin(socket);
    }
    if (begun > 0 || waiting.size > 0) nextTurn();
  };
  const nextTurn = () => {
    if (turnIsDue) return;
    turnIsDue = true;
    setImmediate(turn);
  };

  server.on('connection', (socket: Socket) => {
    nextTurn();
    if (waiting.size === 0 && begun < limits.begunEachTurn) return begin(socket);
    if (waiting.size >= limits.waitingMost) return void socket.destroy();
    waiting.set(socket, performance.now());
    socket.on('error', ignore).on('close', gone);
  });
}

// Whoever hangs up while it waits is nobody's concern.
function ignore(): void {}
