// Which protocol a new connection speaks, by its first bytes: HTTP/2 without TLS begins with a fixed preface (RFC 9113 section 3.4), and
// gRPC is HTTP/2. So one socket serves both, and the code for HTTP/2 is loaded only when a client needs it.
import type { Socket } from 'node:net';
import { IDLE_MS_MAX } from './limits.ts';

/** No method of HTTP/1.1 begins so. */
const preface = Buffer.from('PRI');

/** Calls `found` once the protocol is known; the bytes stay in the socket. A connection that stays silent is closed. */
export function onProtocol(socket: Socket, found: (protocol: 'http1' | 'http2') => void): void {
  // A byte that were put back before all is known would be reported as new, again and again.
  let head = Buffer.alloc(0);
  const silent = setTimeout(() => socket.destroy(), IDLE_MS_MAX);
  const close = () => void socket.destroy();
  const done = () => {
    clearTimeout(silent);
    socket.off('readable', look);
    socket.off('end', close);
    socket.off('close', done);
  };
  const look = () => {
    const chunk: unknown = socket.read();
    if (!(chunk instanceof Buffer)) return;
    head = Buffer.concat([head, chunk]);
    const isPreface = preface.subarray(0, head.length).equals(head.subarray(0, preface.length));
    if (isPreface && head.length < preface.length) return;
    done();
    socket.unshift(head);
    found(isPreface ? 'http2' : 'http1');
  };
  socket.on('readable', look);
  // The client ended before it said which.
  socket.on('end', close);
  socket.on('close', done);
}
