// The way to a syslog server: TLS (RFC 5425), one connection for each batch. The protocol has no acknowledgement. The hub ends its side after the
// last message and waits until the server has ended its own: a server that broke off, or left bytes unread, resets the connection, and the batch
// is sent again.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { withoutZone } from '@edgekeep/core/canonical/host';
import { parseAddress } from '@edgekeep/core/canonical/network';
import { connect, type TLSSocket } from 'node:tls';
import type { SendSyslog, SyslogServer } from '../../syslog/open.ts';

const TIMEOUT_MS = 30_000;

/** Rejects where it is not certain that the server read everything. */
export const sendSyslog: SendSyslog = async (server, frames, signal) => {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const socket = await openSocket(server);
  const stop = () => socket.destroy(limit.reason instanceof Error ? limit.reason : new Error('it took too long'));
  limit.addEventListener('abort', stop, { once: true });
  try {
    if (limit.aborted) stop();
    const ended = endOf(socket);
    // A failure is seen below; nobody waits for it before.
    ended.catch(() => undefined);
    await Promise.race([once(socket, 'secureConnect'), ended]);
    for (const frame of frames) {
      if (socket.readableEnded) throw endedEarly();
      if (!socket.write(frame)) await Promise.race([once(socket, 'drain'), ended]);
    }
    socket.end();
    await ended;
  } finally {
    limit.removeEventListener('abort', stop);
    socket.destroy();
  }
};

async function openSocket(server: SyslogServer): Promise<TLSSocket> {
  const { host, port } = server;
  const [ca, cert, key] = await Promise.all([
    textOf(server.caFile),
    textOf(server.certificateFile),
    textOf(server.keyFile),
  ]);
  const name = withoutZone(host);
  return connect({
    host,
    port,
    minVersion: 'TLSv1.2',
    // RFC 6066 section 3: an address is no server name.
    ...(parseAddress(name) === undefined ? { servername: name } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  });
}

// Read at each connection: a renewed certificate needs no start of the hub.
async function textOf(path: string | null): Promise<string | undefined> {
  return path === null ? undefined : readFile(path, 'utf8');
}

/** Resolves at the orderly end of the other side, if that comes after the end of this one. */
async function endOf(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.once('end', () => (socket.writableFinished ? resolve() : reject(endedEarly())));
    socket.once('close', () => reject(endedEarly()));
    // A server sends nothing; what it sends does not count.
    socket.resume();
  });
}

function endedEarly(): Error {
  return new Error('it closed the connection before everything was sent');
}
