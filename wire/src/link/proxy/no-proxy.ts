// NO_PROXY: the hosts that are reached without a proxy (spec/http-proxy.md, "The environment"). No two programs read it in the same way: what
// curl reads, this reads as curl does; ports, `*.example.com` and a star in a list as Go does.
import { withoutZone } from '@edgekeep/core/canonical/host';
import { canonicalHostName } from '@edgekeep/core/canonical/host-name';
import { type Address, networkContains, parseAddress } from '@edgekeep/core/canonical/network';

interface Target {
  /** A name or an address, an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

const lengths = { 4: 32, 6: 128 } as const;

/** Whether one entry of the list names the target. Entries are separated by commas or spaces; one that cannot be read names nothing. */
export function isExcepted(list: string, target: Target): boolean {
  const host = target.host.replace(/\.$/, '');
  const address = parseAddress(withoutZone(host));
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => entry === '*' || names(entry, { host, port: target.port, address }));
}

function names(entry: string, target: Target & { readonly address: Address | undefined }): boolean {
  const [whole, port] = withoutPort(entry);
  if (port !== undefined && port !== target.port) return false;
  return target.address === undefined ? isDomainOf(whole, target.host) : isNetworkOf(whole, target.address);
}

// Of several colons none begins a port, unless the address before it is in brackets.
function withoutPort(entry: string): readonly [string, number | undefined] {
  const [, host, port] = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(entry) ?? [];
  return host === undefined ? [entry, undefined] : [host, Number(port)];
}

// As in curl, `example.com` and `.example.com` are the same: the domain and all names in it.
function isDomainOf(entry: string, host: string): boolean {
  const domain = canonicalHostName(entry.replace(/^\*?\./, ''));
  const name = canonicalHostName(host);
  return domain !== undefined && name !== undefined && (name === domain || name.endsWith(`.${domain}`));
}

function isNetworkOf(entry: string, address: Address): boolean {
  const [, text = entry, digits] = /^([^/]*)\/(\d{1,3})$/.exec(entry) ?? [];
  const network = parseAddress(text.replace(/^\[(.*)\]$/, '$1'));
  if (network === undefined) return false;
  const length = lengths[network.family];
  const prefixLength = digits === undefined ? length : Number(digits);
  // Bits after the prefix do not count, as in both programs.
  return prefixLength <= length && networkContains({ ...network, prefixLength }, address);
}
