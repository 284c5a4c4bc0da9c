// An HTTP proxy on the way to the hub (spec/http-proxy.md): its URL, and the credentials that it asks for.
import { parseUtf8 } from '@edgekeep/core/bytes';
import { endpointText, parseEndpoint } from '@edgekeep/core/canonical/endpoint';
import { hostText } from '@edgekeep/core/canonical/host';
import { CoreError } from '@edgekeep/core/error';
import { WireError } from '../../error.ts';

export interface ProxyAddress {
  /** How the proxy itself is reached; what goes through it is TLS in any case. */
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
}

export interface Proxy extends ProxyAddress {
  readonly credentials?: ProxyCredentials | undefined;
  /** For `https`: the authorities that may vouch for the proxy, PEM; left out: the machine's own list. */
  readonly authoritiesPem?: readonly string[] | undefined;
}

/** Basic authentication (RFC 7617). Nothing prints it: the text is private. */
export class ProxyCredentials {
  readonly #authorization: string;

  constructor(user: string, password: string) {
    this.#authorization = `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
  }

  /** The value of Proxy-Authorization. */
  get authorization(): string {
    return this.#authorization;
  }
}

/** One line of `user:password`. */
export const PROXY_CREDENTIALS_BYTES_MAX = 4_096;

/** The proxy for people: never with credentials. */
export function proxyName(proxy: ProxyAddress): string {
  return `${proxy.scheme}://${endpointText(proxy)}`;
}

// What curl takes where a URL names none (CURLOPT_PROXY).
const ports = { http: 1_080, https: 443 } as const;
const schemes: readonly string[] = ['http', 'https'];

export interface ProxyUrl {
  readonly address: ProxyAddress;
  /** Whether the URL has a port. */
  readonly namesPort: boolean;
  /** From the URL itself. */
  readonly credentials: ProxyCredentials | undefined;
}

/** Reads a URL as curl reads it: without a scheme it is `http`. `what` names where it is from; errors never have the URL: it may hold a password. */
export function parseProxyUrl(text: string, what: string): ProxyUrl {
  const [, scheme = 'http', authority = ''] = /^(?:([^:/?#@]+):\/\/)?([^/?#]*)\/?$/.exec(text.trim()) ?? [];
  const at = authority.lastIndexOf('@');
  const lower = scheme.toLowerCase();
  const refuse = (problem: string) => new WireError('settings-invalid', `${what}: ${problem}`);
  if (lower.startsWith('socks')) throw refuse('a SOCKS proxy is not supported: name an HTTP proxy');
  if (!isScheme(lower)) throw refuse('expected http:// or https://');
  const { host, port } = endpointIn(authority.slice(at + 1), refuse);
  return {
    address: { scheme: lower, host, port: port ?? ports[lower] },
    namesPort: port !== undefined,
    credentials: at === -1 ? undefined : credentialsIn(authority.slice(0, at), refuse),
  };
}

function endpointIn(text: string, refuse: (problem: string) => WireError) {
  const expected = 'expected http://HOST:PORT or https://HOST:PORT, an IPv6 address in brackets';
  if (/^[^[]*:.*:/.test(text)) throw refuse(expected);
  try {
    const { host, port } = parseEndpoint(text);
    return { host: hostText(host), port };
  } catch (error) {
    // Its message quotes the text.
    if (error instanceof CoreError) throw refuse(expected);
    throw error;
  }
}

function isScheme(text: string): text is ProxyAddress['scheme'] {
  return schemes.includes(text);
}

function credentialsIn(userinfo: string, refuse: (problem: string) => WireError): ProxyCredentials {
  const [, user = '', password = ''] = /^([^:]*)(?::(.*))?$/s.exec(userinfo) ?? [];
  try {
    return credentialsOf(decodeURIComponent(user), decodeURIComponent(password), refuse);
  } catch (error) {
    // The text of a URIError has nothing of the URL; it is left out all the same.
    if (error instanceof URIError) throw refuse('the percent signs of its user and password are not an encoding');
    throw error;
  }
}

/** The content of a credentials file: `user:password`, at most one end of line. The errors have nothing of it. */
export function parseProxyCredentials(content: Uint8Array, what: string): ProxyCredentials {
  const refuse = (problem: string) => new WireError('settings-invalid', `${what}: ${problem}`);
  const text = decode(content, refuse)
    .replace(/^\ufeff/, '')
    .replace(/\r?\n$/, '');
  const colon = text.indexOf(':');
  if (colon < 1) throw refuse('expected one line, user:password');
  return credentialsOf(text.slice(0, colon), text.slice(colon + 1), refuse);
}

function decode(content: Uint8Array, refuse: (problem: string) => WireError): string {
  try {
    return parseUtf8(content, 'credentials');
  } catch {
    // Its message might quote bytes.
    throw refuse('it is not UTF-8');
  }
}

// RFC 7617 section 2: no colon in a user, no control characters at all.
function credentialsOf(user: string, password: string, refuse: (problem: string) => WireError): ProxyCredentials {
  if (user.includes(':')) throw refuse('the user has a colon, which Basic authentication cannot send');
  if (/\p{Cc}/u.test(user + password)) throw refuse('user and password have control characters or a second line');
  return new ProxyCredentials(user, password);
}
