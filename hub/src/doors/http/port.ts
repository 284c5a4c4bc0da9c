// The port of a listener: whether it is free, the words for one that does not open, and the address that a listener got.
import { type Endpoint, endpointText } from '@edgekeep/core/canonical/endpoint';
import { type AddressInfo, createServer } from 'node:net';
import { HubError } from '../../common/error.ts';
import type { HttpServer } from './server.ts';

const portTexts: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses it',
  EACCES: 'this user may not open it (ports below 1024 need a special permission)',
  EADDRNOTAVAIL: 'this machine has no such address',
  EINVAL: 'this machine has no such interface',
  ENODEV: 'this machine has no such interface',
  ENOTFOUND: 'this machine knows no such name',
  EAFNOSUPPORT: 'this machine has no addresses of that family',
};

/** The setting with its address. */
export type ListenerName = 'device' | 'operator' | 'estForGateways';

/** Why a listener does not open. */
export function portError(who: ListenerName, place: Endpoint, cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const text = portTexts[code];
  if (text === undefined) return cause;
  const message = `the ${who} port ${endpointText(place)} cannot be opened: ${text}; end that program, or set ${who}.port or ${who}.host in hub.json`;
  return new HubError('port-unusable', message, { cause });
}

/** Opens the port and closes it again. Rejects with Node's error where it does not open. */
export async function tryPort(place: Endpoint): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(place, resolve);
    });
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

export function addressOf(app: HttpServer): Endpoint {
  const address: AddressInfo | string | null = app.server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the listener has no TCP address');
  return { host: address.address, port: address.port };
}
