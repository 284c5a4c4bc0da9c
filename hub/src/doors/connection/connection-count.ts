// The number of open connections of each network.
import type { Socket } from 'node:net';
import { networkOf } from '@edgekeep/core/canonical/network-of';

export class ConnectionCount {
  readonly #counts = new Map<string, number>();

  add(socket: Socket): void {
    const network = networkOf(socket.remoteAddress ?? 'unknown');
    this.#counts.set(network, this.of(network) + 1);
    socket.once('close', () => {
      const left = this.of(network) - 1;
      if (left > 0) this.#counts.set(network, left);
      else this.#counts.delete(network);
    });
  }

  of(network: string): number {
    return this.#counts.get(network) ?? 0;
  }
}
