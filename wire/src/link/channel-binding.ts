// The tls-exporter channel binding (RFC 9266): a value that both ends of one TLS 1.3 connection know and no other connection has. A root of
// trust signs it, so a stolen operational key is useless on another machine.
import type { TLSSocket } from 'node:tls';
import { WireError } from '../error.ts';

const label = 'EXPORTER-Channel-Binding';
export const CHANNEL_BINDING_LENGTH = 32;

/**
 * The 32 bytes of this connection, after its handshake; the context is empty, as RFC 9266 section 2 requires.
 * Throws `channel-binding-unavailable` for anything but a live TLS 1.3 connection: in older versions the value is not unique.
 */
export function channelBinding(socket: TLSSocket): Uint8Array {
  const version = socket.getProtocol();
  if (version !== 'TLSv1.3') {
    throw new WireError(
      'channel-binding-unavailable',
      `expected a live TLS 1.3 connection, found ${version ?? 'none'}`,
    );
  }
  try {
    return socket.exportKeyingMaterial(CHANNEL_BINDING_LENGTH, label, Buffer.alloc(0));
  } catch (cause) {
    throw new WireError('channel-binding-unavailable', 'the TLS connection gave no exporter value', { cause });
  }
}
