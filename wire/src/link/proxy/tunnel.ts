// A way through an HTTP proxy: CONNECT (RFC 9110 section 9.3.6). The proxy is no friend: it gets the target's name and the credentials that are
// meant for it, its answer is bounded in bytes and time, and what it says reaches an error as printable text alone. What is sent through the
// tunnel is TLS with the hub, pinned as without a proxy.
import { endpointText, hostHeader } from '@edgekeep/core/canonical/endpoint';
import { withoutZone } from '@edgekeep/core/canonical/host';
import { printable } from '@edgekeep/core/canonical/printable';
import { messageOf } from '@edgekeep/core/message-of';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, getCACertificates } from 'node:tls';
import { WireError } from '../../error.ts';
import { indicatedName } from '../other-end/indicated-name.ts';
import { type Proxy, proxyName } from './proxy.ts';
import { type AnswerHead, parseAnswerHead } from './tunnel-answer.ts';

// The connection is idle most of its life; probes keep middleboxes from dropping it and detect a peer that vanished.
const keepAliveProbeMs = 15_000;

export interface TunnelInput {
  readonly proxy: Proxy;
  readonly target: { readonly host: string; readonly port: number };
  /** The local address to use; left out: the system's choice. */
  readonly localAddress?: string | undefined;
  /** From the first packet to the end of the proxy's answer, milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Resolves when the proxy has connected to the target: each byte of the socket is then the target's. Throws WireError. */
export async function openTunnel(input: TunnelInput): Promise<Socket> {
  const { proxy, target } = input;
  const where = `the proxy ${proxyName(proxy)}`;
  const socket = dial(input, where);
  // Reported once, by the promises below.
  socket.on('error', () => {});
  using _ = limits(socket, input, where);
  const ended = endOf(socket, where);
  try {
    await Promise.race([connected(socket, proxy), ended]);
    socket.write(connectRequest(input));
    const head = await Promise.race([readHead(socket, where), ended]);
    if (head.status < 200 || head.status > 299) throw refusalOf(head, proxy, endpointText(target));
    // It may have answered and closed at once.
    if (socket.destroyed) throw closedEarly(where);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function dial({ proxy, localAddress }: TunnelInput, where: string): Socket {
  const { scheme, host, port, authoritiesPem } = proxy;
  const place = { host, port, ...(localAddress !== undefined && { localAddress }) };
  try {
    const socket =
      scheme === 'http'
        ? connectTcp(place)
        : connectTls({
            ...place,
            servername: indicatedName(withoutZone(host)),
            ca: [...(authoritiesPem ?? [...getCACertificates('default'), ...getCACertificates('system')])],
            ALPNProtocols: ['http/1.1'],
          });
    return socket.setNoDelay(true).setKeepAlive(true, keepAliveProbeMs);
  } catch (cause) {
    throw new WireError('settings-invalid', `${where}: it cannot be used: ${messageOf(cause)}`, { cause });
  }
}

/** Ends the socket when the time is over or the caller gives up. */
function limits(socket: Socket, { timeoutMs, signal }: TunnelInput, where: string): Disposable {
  const late = () => socket.destroy(new WireError('timeout', `${where}: no answer to CONNECT within ${timeoutMs} ms`));
  const abort = () => socket.destroy(new WireError('closed', `${where}: closed while connecting`));
  const timer = setTimeout(late, timeoutMs);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  return {
    [Symbol.dispose]() {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    },
  };
}

/** Rejects when the socket ends. */
function endOf(socket: Socket, where: string): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  socket.once('error', (cause: Error) => reject(dialError(cause, where)));
  socket.once('close', () => reject(closedEarly(where)));
  // A socket that ends after its tunnel was given away has another owner.
  promise.catch(() => {});
  return promise;
}

function closedEarly(where: string): WireError {
  return new WireError('proxy-answer-invalid', `${where} closed the connection before it had answered`);
}

function dialError(cause: Error, where: string): WireError {
  if (cause instanceof WireError) return cause;
  const code = 'code' in cause ? String(cause.code) : '';
  const isNetwork = /^E[A-Z_]+$/.test(code) && code !== 'EPROTO' && !code.startsWith('ERR_');
  if (isNetwork) return new WireError('proxy-unreachable', `${where}: no connection (${code})`, { cause });
  return new WireError('proxy-tls-refused', `${where}: TLS refused: ${printable(cause.message.trim())}`, { cause });
}

function connected(socket: Socket, { scheme }: Proxy): Promise<void> {
  return new Promise((resolve) => socket.once(scheme === 'http' ? 'connect' : 'secureConnect', () => resolve()));
}

function connectRequest({ proxy, target }: TunnelInput): string {
  // Its authority-form (RFC 9112 section 3.2.3) is that of the Host header.
  const authority = hostHeader(target);
  const { credentials } = proxy;
  const authorization = credentials === undefined ? '' : `Proxy-Authorization: ${credentials.authorization}\r\n`;
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization}\r\n`;
}

/** Bytes that came after the head stay on the socket: they are the target's. */
function readHead(socket: Socket, where: string): Promise<AnswerHead> {
  const { promise, resolve, reject } = Promise.withResolvers<AnswerHead>();
  let bytes = Buffer.alloc(0);
  const read = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    bytes = Buffer.concat([bytes, chunk]);
    try {
      const head = parseAnswerHead(bytes, where);
      if (head === undefined) return;
      socket.off('readable', read);
      const rest = bytes.subarray(head.length);
      if (rest.length > 0) socket.unshift(rest);
      resolve(head);
    } catch (error) {
      socket.off('readable', read);
      reject(error instanceof Error ? error : new Error(String(error)));
    }
  };
  socket.on('readable', read);
  return promise;
}

/** What a proxy means by an answer that is no tunnel, and what to do. */
function refusalOf(head: AnswerHead, proxy: Proxy, target: string): WireError {
  const { status, reason, schemes } = head;
  const name = proxyName(proxy);
  // Some answer 401 to credentials that are wrong.
  if (status === 407 || status === 401) {
    const others = schemes.filter((scheme) => scheme.toLowerCase() !== 'basic');
    if (schemes.length > 0 && others.length === schemes.length)
      return new WireError(
        'proxy-credentials-required',
        `the proxy ${name} takes ${others.join(', ')} only: Basic authentication is the one that is spoken here`,
      );
    if (proxy.credentials === undefined)
      return new WireError(
        'proxy-credentials-required',
        `the proxy ${name} asks for credentials, and none are set: write user:password into a file of mode 0600 and name it`,
      );
    return new WireError(
      'proxy-credentials-refused',
      `the proxy ${name} refused the credentials that were sent: correct user and password`,
    );
  }
  const advice = status === 403 || status === 405 ? `: its administrator has to allow CONNECT to ${target}` : '';
  return new WireError(
    'proxy-refused',
    `the proxy ${name} did not connect to ${target}, it answered "${reason}"${advice}`,
  );
}
