// Strangers share the connections of a listener: one network gets a part of them. Over IPv6 a network is the first 64 bits, because a machine
// chooses the others itself, and would count as billions.
import { networkOf } from '@edgekeep/core/canonical/network-of';
import type { Socket } from 'node:net';

interface Listener {
  on(event: 'connection', listener: (socket: Pick<Socket, 'remoteAddress' | 'destroy' | 'once'>) => void): unknown;
}

export function limitByNetwork(server: Listener, max: number): void {
  const open = new Map<string, number>();
  server.on('connection', (socket) => {
    const network = networkOf(socket.remoteAddress);
    const count = open.get(network) ?? 0;
    if (count >= max) {
      socket.destroy();
      return;
    }
    open.set(network, count + 1);
    socket.once('close', () => {
      const left = (open.get(network) ?? 0) - 1;
      if (left > 0) open.set(network, left);
      else open.delete(network);
    });
  });
}
