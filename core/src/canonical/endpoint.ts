// A host with its port, and the address of a web service (spec/addresses.md): the only reader and the only writer, so that an IPv6 address
// always has its brackets (RFC 3986 section 3.2.2) and a port is never taken for a part of one.
import { CoreError } from '../error.ts';
import { type Host, hostText, parseHost, withoutZone } from './host.ts';

export interface Endpoint {
  /** For the system's resolver: without brackets, an IPv6 address with its zone. */
  readonly host: string;
  readonly port: number;
}

const PORT_MAX = 65_535;

/**
 * Reads `hub.example`, `hub.example:8443`, `10.0.4.2:8443`, `2001:db8::5`, `[2001:db8::5]`, `[2001:db8::5]:8443`. `port` is undefined where the text has
 * none. Throws `address-invalid`.
 */
export function parseEndpoint(text: string): { readonly host: Host; readonly port: number | undefined } {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return { host: parseHost(text), port: undefined };
  const [, host = text, port] = /^(\[[^\]]*\])(?::(.*))?$/s.exec(text) ?? /^([^:]*):([^:]*)$/s.exec(text) ?? [];
  return { host: parseHost(host), port: port === undefined ? undefined : parsePort(port, text) };
}

function parsePort(digits: string, given: string): number {
  const port = /^[1-9]\d{0,4}$/.test(digits) ? Number(digits) : 0;
  if (port >= 1 && port <= PORT_MAX) return port;
  throw new CoreError('address-invalid', `${JSON.stringify(given)}: a port is a number from 1 to ${PORT_MAX}`);
}

/** `hub.example:8443`, `[::1]:8443`: for messages. */
export function endpointText({ host, port }: Endpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The Host header of a request. */
export function hostHeader({ host, port }: Endpoint): string {
  return endpointText({ host: withoutZone(host), port });
}

/** The address of a listener as a URL. */
export function httpsUrl(endpoint: Endpoint): string {
  return `https://${endpointText(endpoint)}`;
}

export interface WebAddress extends Endpoint {
  readonly protocol: 'http' | 'https';
  /** Path and query; empty where there are none. */
  readonly path: string;
  /** The whole address with its host in canonical form. */
  readonly text: string;
}

const defaultPorts = { http: 80, https: 443 } as const;

/** An absolute URL of HTTP or HTTPS without credentials and without a fragment. Throws `address-invalid`. */
export function parseWebAddress(text: string): WebAddress {
  const [, scheme = '', authority = '', path = ''] = /^(https?):\/\/([^/?#\\]*)([^#\s\\]*)$/i.exec(text) ?? [];
  const refused = (expected: string) =>
    new CoreError('address-invalid', `${JSON.stringify(text.slice(0, 80))}: ${expected}`);
  if (scheme === '') throw refused('expected http://HOST or https://HOST, with a port and a path where it has them');
  if (authority.includes('@'))
    throw refused('a URL with a user name or a password is not read: it would appear in logs');
  if (/[^!-~]/.test(path)) throw refused('characters outside ASCII in a path are written with percent signs');
  const protocol = scheme.toLowerCase() === 'http' ? 'http' : 'https';
  if (/^[^[]*:.*:/.test(authority)) throw refused('an IPv6 address in a URL is in brackets, as in https://[::1]:8444');
  const { host, port } = parseEndpoint(authority);
  const shown = port === undefined ? bracketed(host) : endpointText({ host: hostText(host), port });
  return {
    protocol,
    host: hostText(host),
    port: port ?? defaultPorts[protocol],
    path,
    text: `${protocol}://${shown}${path}`,
  };
}

function bracketed(host: Host): string {
  return host.kind === 'ipv6' ? `[${hostText(host)}]` : host.text;
}
