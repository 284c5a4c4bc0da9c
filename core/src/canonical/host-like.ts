// Whether a name could be taken for a host's (spec/certificates.md, "Names that are hosts"): readers from before RFC 9525 read a common name
// as one, people read any, and a resolver reads a number as an address.
import { canonicalHostName } from './host-name.ts';
import { parseAddress } from './network.ts';

/** `hub`: a name of the hub. `loopback`: this machine. `address`: an IP address. `number`: one too, for resolvers that read `2130706433`. */
export type HostLikeness = 'hub' | 'loopback' | 'address' | 'number';

const loopbackNames: readonly string[] = ['localhost.localdomain', 'ip6-localhost', 'ip6-loopback'];
const number = /^(?:\d+|0x[0-9a-f]*)$/i;

/** What a TLS reader could take `name` for; undefined for none. `hubNames` are canonical; one may be a wildcard. */
export function hostLikeness(name: string, hubNames: readonly string[]): HostLikeness | undefined {
  const host = canonicalHostName(name);
  if (host === undefined) {
    const labels = name.replace(/\.$/, '').split('.');
    if (!number.test(labels.at(-1) ?? '')) return undefined;
    return labels.length === 1 ? 'number' : 'address';
  }
  if (hubNames.some((own) => own === host || covers(own, host))) return 'hub';
  if (parseAddress(host) !== undefined) return 'address';
  return host === 'localhost' || host.endsWith('.localhost') || loopbackNames.includes(host) ? 'loopback' : undefined;
}

function covers(own: string, host: string): boolean {
  return own.startsWith('*.') && host.split('.').slice(1).join('.') === own.slice(2);
}
