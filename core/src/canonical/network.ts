// IP networks in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3), and the one form in which the hub writes networks and
// addresses: RFC 5952 for IPv6, dotted for IPv4. docs/design/identities.md.
import { isIP, isIPv4 } from 'node:net';

export interface Network {
  readonly family: 4 | 6;
  /** The address's bits, host bits zero. */
  readonly bits: bigint;
  readonly prefixLength: number;
}

const lengths = { 4: 32, 6: 128 } as const;

/**
 * Reads `10.1.0.0/16` or `2001:db8::/32`; undefined for anything else, including a network with host bits set: it is usually a mistake.
 * IPv4 networks that are mapped into IPv6 are refused as well: their length can be read in two ways.
 */
export function parseNetwork(text: string): Network | undefined {
  const match = /^([0-9a-fA-F:.]{2,45})\/(0|[1-9]\d{0,2})$/.exec(text);
  if (match === null) return undefined;
  const [, address = '', prefix = ''] = match;
  const parsed = parseAddress(address);
  const prefixLength = Number(prefix);
  if (parsed?.family === 4 && address.includes(':')) return undefined;
  if (parsed === undefined || prefixLength > lengths[parsed.family]) return undefined;
  const hostBits = BigInt(lengths[parsed.family] - prefixLength);
  return (parsed.bits >> hostBits) << hostBits === parsed.bits ? { ...parsed, prefixLength } : undefined;
}

export interface Address {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

/**
 * An IPv4 or IPv6 address in any spelling; one of IPv4 that is mapped into IPv6 (RFC 4291 section 2.5.5.2) counts as IPv4. Undefined for
 * anything else, zones included.
 */
export function parseAddress(text: string): Address | undefined {
  switch (isIP(text)) {
    case 4:
      return { family: 4, bits: bitsOfIpv4(text) };
    case 6: {
      if (text.includes('%')) return undefined;
      const bits = bitsOfIpv6(text);
      return bits >> 32n === mappedPrefix ? { family: 4, bits: bits & 0xffff_ffffn } : { family: 6, bits };
    }
    default:
      return undefined;
  }
}

/** ::ffff:0:0/96. */
const mappedPrefix = 0xffffn;

/** The one text of a network, from any spelling; undefined for what `parseNetwork` refuses. */
export function canonicalNetwork(text: string): string | undefined {
  const network = parseNetwork(text);
  return network === undefined ? undefined : `${addressText(network)}/${network.prefixLength}`;
}

/**
 * The one text of an address, without its zone, because the interface of a link-local address is known only to its machine. Undefined for
 * anything that is no address.
 */
export function canonicalAddress(text: string): string | undefined {
  // Node takes one spelling of an IPv4 address only, and every request has one.
  if (isIPv4(text)) return text;
  const address = parseAddress(text.replace(/%.*$/, ''));
  return address === undefined ? undefined : addressText(address);
}

/** The address in the octets of an iPAddress name, also a mapped one as what it is; undefined for another length. */
export function addressOfOctets(octets: Uint8Array): Address | undefined {
  if (octets.length !== 4 && octets.length !== 16) return undefined;
  const bits = octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
  return { family: octets.length === 4 ? 4 : 6, bits };
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups as `::`, the first of equal ones. */
export function addressText({ family, bits }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, at) => ((bits >> BigInt(112 - at * 16)) & 0xffffn).toString(16));
  let best = { at: 0, length: 1 };
  for (let at = 0; at < groups.length; at += 1) {
    const end = groups.findIndex((group, index) => index >= at && group !== '0');
    const length = (end === -1 ? groups.length : end) - at;
    if (length > best.length) best = { at, length };
  }
  if (best.length < 2) return groups.join(':');
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`;
}

export function networkContains(network: Network, address: Address): boolean {
  if (network.family !== address.family) return false;
  const hostBits = BigInt(lengths[network.family] - network.prefixLength);
  return address.bits >> hostBits === network.bits >> hostBits;
}

function bitsOfIpv4(text: string): bigint {
  return text.split('.').reduce((bits, byte) => (bits << 8n) | BigInt(byte), 0n);
}

function bitsOfIpv6(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const last = bitsOfIpv4(dotted?.[2] ?? '0.0.0.0');
  const groups = dotted === null ? text : `${dotted[1]}${(last >> 16n).toString(16)}:${(last & 0xffffn).toString(16)}`;
  const [left = '', right] = groups.split('::');
  const before = left === '' ? [] : left.split(':');
  const after = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}
