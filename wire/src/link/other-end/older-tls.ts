// The certificates of a server that has no TLS 1.3: many proxies that inspect TLS are older than it. The connection only reads them: nothing
// is sent on it, and nothing that it carries counts.
import { connect } from 'node:tls';
import { noteShown } from './refused-server.ts';

const HANDSHAKE_MILLISECONDS_MAX = 3_000;

/** DER, leaf first; empty where none came. Never rejects. */
export async function shownByOlderTls(
  endpoint: { readonly host: string; readonly port: number },
  servername: string,
): Promise<readonly Uint8Array[]> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { host, port } = endpoint;
  // Nobody is trusted here, the public authorities neither: every certificate is refused, after it was noted.
  const checkServerIdentity = () => new Error('noted');
  const versions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
  const socket = connect({ host, port, servername, ...versions, checkServerIdentity });
  const shown = noteShown(socket);
  const timer = setTimeout(resolve, HANDSHAKE_MILLISECONDS_MAX);
  socket
    .once('secureConnect', () => resolve())
    .once('error', () => resolve())
    .once('close', () => resolve());
  await promise;
  clearTimeout(timer);
  const noted = shown();
  socket.destroy();
  return noted;
}
