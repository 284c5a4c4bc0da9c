// Which protocol a new connection speaks, by its first bytes: HTTP/2 without TLS begins with a fixed preface (RFC 9113 section 3.4), and
// gRPC is HTTP/2. So one socket serves both, and the code for HTTP/2 is loaded only when a client needs it.
import type { Socket } from 'node:net';
import { IDLE_MS_MAX } from './limits.ts';

/** No method of HTTP/1.1 begins so. */
const preface = Buffer.from('PRI');

/** Calls `found` once the protocol is known; the bytes stay in the socket. A connection that stays silent is closed. */
export function onProtocol(socket: Socket, found: (protocol: 'http1' | 'http2') => void): void {
  const silent = setTimeout(() => socket.destroy(), IDLE_MS_MAX);
  const end = () => {
    clearTimeout(silent);
    socket.off('readable', look);
    socket.off('close', end);
  };
  const look = () => {
    const chunk: unknown = socket.read();
    if (!(chunk instanceof Buffer)) {
      // The client ended before it said anything.
      if (socket.readableEnded) socket.destroy();
      return;
    }
    socket.unshift(chunk);
    const known = chunk.subarray(0, preface.length);
    const isPreface = known.equals(preface.subarray(0, known.length));
    if (isPreface && known.length < preface.length) return;
    end();
    found(isPreface ? 'http2' : 'http1');
  };
  socket.on('readable', look);
  socket.on('close', end);
}
