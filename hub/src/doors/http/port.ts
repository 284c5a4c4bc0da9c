// The port of a listener: whether it is free, the words for one that does not open, and the address that a listener got.
import { type AddressInfo, createServer } from 'node:net';
import { HubError } from '../../common/error.ts';
import type { HttpServer } from './server.ts';

const portTexts: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses it',
  EACCES: 'this user may not open it (ports below 1024 need a special permission)',
  EADDRNOTAVAIL: 'this machine has no such address',
};

/** The setting with its address. */
export type ListenerName = 'device' | 'operator' | 'estForGateways';

/** Why a listener does not open. */
export function portError(
  who: ListenerName,
  { host, port }: { readonly host: string; readonly port: number },
  cause: unknown,
): unknown {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const text = portTexts[code];
  if (text === undefined) return cause;
  const message = `the ${who} port ${host}:${port} cannot be opened: ${text}; end that program, or set ${who}.port or ${who}.host in hub.json`;
  return new HubError('port-unusable', message, { cause });
}

/** Opens the port and closes it again. Rejects with Node's error where it does not open. */
export async function tryPort(place: { readonly host: string; readonly port: number }): Promise<void> {
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

export function addressOf(app: HttpServer): { readonly host: string; readonly port: number } {
  const address: AddressInfo | string | null = app.server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the listener has no TCP address');
  return { host: address.address, port: address.port };
}
