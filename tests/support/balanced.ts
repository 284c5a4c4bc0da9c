// Connections to a hub as a TCP balancer opens them: a header of the PROXY protocol, and then the client's TLS.
import { connect as connectTcp, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { parseAddress } from '@edgekeep/core/canonical/network';
import type { HubWorld } from './hub-world.ts';

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** For a client with this IPv4 address. */
export function headerFor(address: string): Buffer {
  if (parseAddress(address)?.family !== 4) throw new TypeError('an IPv4 address');
  const source = address.split('.').map(Number);
  return Buffer.from([...signature, 0x21, 0x11, 0, 12, ...source, 10, 0, 0, 1, 0xc0, 0x01, 0x20, 0xfb]);
}

/** The balancer's own probe. */
export const localHeader = Buffer.from([...signature, 0x20, 0x00, 0, 0]);

export interface TlsOutcome extends Disposable {
  readonly outcome: 'connected' | 'cut';
  /** Resolves when the hub ends the connection. */
  readonly ended: Promise<'cut'>;
  /** The status of the answer to a request. */
  readonly ask: (path: string) => Promise<string>;
}

/** Sends `first` from the local address `from`, and then TLS. */
export async function tlsAfter(
  world: HubWorld,
  listener: 'deviceAddress' | 'operatorAddress',
  { from, first, to = world.hub[listener] }: { from: string; first?: Buffer; to?: { host?: string; port: number } },
): Promise<TlsOutcome> {
  const raw: Socket = connectTcp({ host: '127.0.0.1', port: to.port, localAddress: from });
  raw.on('error', () => {});
  if (first !== undefined) raw.write(first);
  const socket = connect({ socket: raw, ca: world.hub.rootPem, servername: 'localhost' });
  const ended = new Promise<'cut'>((resolve) => socket.on('error', () => {}).once('close', () => resolve('cut')));
  const connected = new Promise<'connected'>((resolve) => socket.once('secureConnect', () => resolve('connected')));
  const outcome = await Promise.race([connected, ended]);
  const ask = (path: string) =>
    new Promise<string>((resolve) => {
      let answer = '';
      const read = (chunk: Buffer) => {
        answer += chunk.toString('latin1');
        if (!/\r\n\r\n/.test(answer)) return;
        socket.off('data', read);
        resolve(answer.slice(9, 12));
      };
      socket.on('data', read);
      void ended.then(() => resolve('cut'));
      socket.write(`GET ${path} HTTP/1.1\r\nhost: hub\r\n\r\n`);
    });
  return { outcome, ended, ask, [Symbol.dispose]: () => void socket.destroy() };
}
