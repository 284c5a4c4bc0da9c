// Answers a connection while no guard serves, in the protocol that its client speaks: HTTP/1.1, or gRPC, which begins with the preface of
// HTTP/2 (as guard/src/first-bytes.ts). Follows spec/inference.md section 2.
import type { Socket } from 'node:net';
import { type Unavailable, unavailableAnswer } from './unavailable.ts';

/** A client that says nothing, or does not close after a refusal, is closed. */
const refusedMs = 1_000;
/** Of a request that comes while no guard serves, this much is read and thrown away. */
const REFUSED_BYTES_MAX = 256 * 1024 * 1024;
const preface = Buffer.from('PRI');
/** FAILED_PRECONDITION: clients do not ask again; UNAVAILABLE: they may. */
const grpcCodes = { final: '9', passes: '14' } as const;

export function refuse(socket: Socket, unavailable: Unavailable): void {
  const look = () => {
    const chunk: unknown = socket.read();
    if (!(chunk instanceof Buffer)) return;
    socket.off('readable', look);
    if (!chunk.subarray(0, preface.length).equals(preface)) return refuseRequest(socket, unavailable);
    socket.unshift(chunk);
    void refuseCalls(socket, unavailable);
  };
  socket.on('readable', look);
  socket.setTimeout(refusedMs, () => socket.destroy());
}

function refuseRequest(socket: Socket, unavailable: Unavailable): void {
  socket.end(unavailableAnswer(unavailable));
  // A client that sends its whole body before it reads must still get the answer.
  socket.on('data', () => socket.bytesRead > REFUSED_BYTES_MAX && socket.destroy());
  socket.resume();
}

async function refuseCalls(socket: Socket, { why, passes }: Unavailable): Promise<void> {
  // Loaded for the first client that speaks it.
  const { createServer } = await import('node:http2');
  const server = createServer();
  server.on('session', (session) => {
    session.on('error', () => session.destroy());
    session.setTimeout(refusedMs, () => session.destroy());
  });
  server.on('sessionError', () => undefined);
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    const headers = {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': passes ? grpcCodes.passes : grpcCodes.final,
      'grpc-message': encodeURIComponent(`model-unavailable: ${why}`),
    };
    stream.respond(headers, { endStream: true });
    // What the client still sends of its message is thrown away.
    stream.resume();
    stream.session?.close();
  });
  if (!socket.destroyed) server.emit('connection', socket);
}
