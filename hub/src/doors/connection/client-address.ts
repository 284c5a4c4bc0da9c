// The address of a client behind a TCP balancer, set on its connection in place of the balancer's, so that limits, blocks, policies, log lines and
// audit entries all see the one that counts.
import type { Socket } from 'node:net';

export interface Client {
  readonly address: string;
  readonly port: number;
}

/** The ends of a TCP connection before an address was set. */
const ends = new WeakMap<Socket, string>();

/** Names the TCP connection under a socket: a TLS session has the same as the connection that it runs on. */
export function connectionName(socket: Socket): string | undefined {
  return ends.get(socket) ?? nameOf(socket);
}

function nameOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | undefined {
  return remotePort === undefined ? undefined : `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

export function setClient(socket: Socket, { address, port }: Client): void {
  const name = nameOf(socket);
  if (name !== undefined) ends.set(socket, name);
  Object.defineProperties(socket, {
    remoteAddress: { value: address, configurable: true },
    remotePort: { value: port, configurable: true },
    remoteFamily: { value: address.includes(':') ? 'IPv6' : 'IPv4', configurable: true },
  });
}
