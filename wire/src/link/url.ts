// The address of a listener as a URL: an IPv6 address is in brackets (RFC 3986 section 3.2.2).
import { isIPv6 } from 'node:net';

export function httpsUrl({ host, port }: { readonly host: string; readonly port: number }): string {
  return `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
