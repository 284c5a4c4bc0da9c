// One TLS connection, from the first packet to a completed and verified handshake, with the meaning of its failures.
import { endpointText } from '@edgekeep/core/canonical/endpoint';
import { messageOf } from '@edgekeep/core/message-of';
import type { Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { WireError } from '../error.ts';
import { codeOf, connectFailure } from './other-end/connect-failure.ts';
import { type Proxy, proxyName } from './proxy/proxy.ts';
import { noteShown } from './other-end/refused-server.ts';
import { serverExpectation, tlsClientOptions, type TlsClientInput } from './tls.ts';
import { openTunnel } from './proxy/tunnel.ts';

// The connection is idle most of its life; probes keep middleboxes from dropping it and detect a peer that vanished.
const keepAliveProbeMs = 15_000;

export interface SecureSocketInput extends TlsClientInput {
  readonly host: string;
  readonly port: number;
  /** The local address to use; left out: the system's choice. */
  readonly localAddress?: string;
  /** The way there; left out: none, directly. */
  readonly proxy?: Proxy | undefined;
  /** From the first packet to the end of the handshake, milliseconds; as long before it for the tunnel through a proxy. */
  readonly connectTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Connects; returns a socket that has verified the server's certificate and name over TLS 1.3. Throws WireError. */
export async function openSecureSocket(input: SecureSocketInput): Promise<TLSSocket> {
  const { host, port, localAddress, proxy, connectTimeoutMs: timeoutMs, signal } = input;
  const where = wayTo(input);
  const target = { host, port };
  const tunnel = proxy && (await openTunnel({ proxy, target, localAddress, timeoutMs, signal }));
  return handshake(input, where, tunnel);
}

/** The other end for people, with the proxy on the way to it. */
export function wayTo({ proxy, ...target }: Pick<SecureSocketInput, 'host' | 'port' | 'proxy'>): string {
  const text = endpointText(target);
  return proxy === undefined ? text : `${text} through the proxy ${proxyName(proxy)}`;
}

async function handshake(input: SecureSocketInput, where: string, tunnel: Socket | undefined): Promise<TLSSocket> {
  const { connectTimeoutMs, signal } = input;
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connectWith(input, where, tunnel);
  const timer = setTimeout(
    () => reject(new WireError('timeout', `${where}: no TLS connection within ${connectTimeoutMs} ms`)),
    connectTimeoutMs,
  );
  const abort = () => reject(new WireError('closed', `${where}: closed while connecting`));
  const shown = noteShown(socket);
  const fail = (cause: Error) => {
    // It ends now, and the reason is found out first.
    socket.off('close', close);
    const endpoint = input.proxy === undefined ? input : undefined;
    const attempt = { endpoint, expectation: serverExpectation(input)(), shown: shown() };
    const named = ({ code, message }: WireError) => new WireError(code, `${where}: ${message}`, { cause });
    connectFailure(cause, attempt).then((failure) => reject(named(failure)), reject);
  };
  const close = () => reject(new WireError('unreachable', `${where}: the connection ended during the handshake`));
  signal.addEventListener('abort', abort);
  socket.once('error', fail).once('close', close);
  socket.once('secureConnect', () => resolve(socket));
  try {
    if (signal.aborted) abort();
    return await promise;
  } catch (error) {
    socket.on('error', ignoreError).destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    socket.off('error', fail).off('close', close);
  }
}

function connectWith(input: SecureSocketInput, where: string, tunnel: Socket | undefined): TLSSocket {
  try {
    const { host, port, localAddress } = input;
    const way = tunnel === undefined ? { host, port, ...(localAddress && { localAddress }) } : { socket: tunnel };
    const socket = connect({ ...tlsClientOptions(input), ...way });
    return socket.setNoDelay(true).setKeepAlive(true, keepAliveProbeMs);
  } catch (cause) {
    tunnel?.destroy();
    if (cause instanceof WireError) throw cause;
    // OpenSSL throws here for PEM that it cannot read and for a key that does not match its certificate.
    throw new WireError('settings-invalid', `${where}: the TLS settings do not work: ${messageOf(cause)}`, { cause });
  }
}

/** A failed attempt was reported; further errors of the closing socket are ignored. */
export function ignoreError(): void {}

/** The reason for the end of an established connection; `undefined` is an orderly close by the other end. */
export function lossError(cause: Error | undefined, where: string): WireError {
  if (cause instanceof WireError) return cause;
  if (cause === undefined) return new WireError('connection-lost', `${where}: the other end closed the connection`);
  // In TLS 1.3 a server checks the client's certificate after the client's handshake is complete, so its alert arrives here.
  if (codeOf(cause).startsWith('ERR_SSL_')) {
    return new WireError('tls-refused', `${where}: TLS refused: ${cause.message.trim()}`, { cause });
  }
  return new WireError('connection-lost', `${where}: the connection was lost (${codeOf(cause)})`, { cause });
}
