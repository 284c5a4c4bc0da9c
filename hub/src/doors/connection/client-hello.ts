// Whether all of a ClientHello has come. Until then a connection costs a socket and a few bytes; from then on a key exchange and a signature.
import type { Socket } from 'node:net';

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
/** A hybrid key share makes a ClientHello of some 1,800 bytes; tickets and long lists of extensions add to it. */
const HELLO_BYTES_MAX = 16_384;

/**
 * Calls back once; the bytes stay on the socket for the TLS session. A connection that ends before is closed. `foreign` gets the first bytes of
 * a connection that are no TLS.
 */
export function whenHelloIsWhole(socket: Socket, begin: () => void, foreign: (bytes: Uint8Array) => void): void {
  const chunks: Buffer[] = [];
  const cut = () => void socket.destroy();
  const read = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (!isHelloWhole(bytes)) return;
    socket.off('readable', read).off('end', cut);
    if (bytes[0] !== HANDSHAKE_RECORD) foreign(bytes);
    socket.unshift(bytes);
    begin();
  };
  socket.on('readable', read).once('end', cut);
}

/**
 * Whether these first bytes of a TCP connection hold a whole ClientHello, in one record or in several (RFC 8446, sections 4.1.2 and 5.1).
 * True also for other bytes, and for too many: the TLS library refuses them by name.
 */
function isHelloWhole(bytes: Uint8Array): boolean {
  if (bytes.length >= HELLO_BYTES_MAX) return true;
  const header: number[] = [];
  let held = 0;
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== HANDSHAKE_RECORD) return true;
    const begin = at + RECORD_HEADER_BYTES;
    if (begin > bytes.length) return false;
    at = begin + ((bytes[begin - 2] ?? 0) << 8) + (bytes[begin - 1] ?? 0);
    held += Math.min(at, bytes.length) - begin;
    header.push(...bytes.subarray(begin, Math.min(at, begin + MESSAGE_HEADER_BYTES - header.length)));
    if (held >= messageBytes(header)) return true;
  }
  return false;
}

/** Bytes of the message that begins with these, as far as they say; 0 for another message. */
function messageBytes(header: readonly number[]): number {
  const [type = CLIENT_HELLO, high = 0, middle = 0, low = 0] = header;
  if (type !== CLIENT_HELLO) return 0;
  return header.length < MESSAGE_HEADER_BYTES ? Infinity : MESSAGE_HEADER_BYTES + (high << 16) + (middle << 8) + low;
}
