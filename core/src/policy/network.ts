// IP networks in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3), and the form in which the hub writes addresses.
import { isIP } from 'node:net';

export interface Network {
  readonly family: 4 | 6;
  /** The address's bits, host bits zero. */
  readonly bits: bigint;
  readonly prefixLength: number;
}

const lengths = { 4: 32, 6: 128 } as const;

/** Reads `10.1.0.0/16` or `2001:db8::/32`; undefined for anything else, a network with host bits set included: it is a slip more often than not. */
export function parseNetwork(text: string): Network | undefined {
  const match = /^([0-9a-fA-F:.]{2,45})\/(0|[1-9]\d{0,2})$/.exec(text);
  if (match === null) return undefined;
  const [, address = '', prefix = ''] = match;
  const parsed = parseAddress(address);
  const prefixLength = Number(prefix);
  if (parsed === undefined || prefixLength > lengths[parsed.family]) return undefined;
  const hostBits = BigInt(lengths[parsed.family] - prefixLength);
  return (parsed.bits >> hostBits) << hostBits === parsed.bits ? { ...parsed, prefixLength } : undefined;
}

export interface Address {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

/** An IPv4 or IPv6 address; one of IPv4 that is mapped into IPv6 (RFC 4291 section 2.5.5.2) counts as IPv4. Undefined for anything else, zones included. */
export function parseAddress(text: string): Address | undefined {
  const plain = plainAddress(text);
  switch (isIP(plain)) {
    case 4:
      return { family: 4, bits: bitsOfIpv4(plain) };
    case 6:
      return plain.includes('%') ? undefined : { family: 6, bits: bitsOfIpv6(plain) };
    default:
      return undefined;
  }
}

/** The address as text, IPv4 addresses always in dotted form: sockets that take both families report them mapped into IPv6. */
export function plainAddress(text: string): string {
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(text);
  return mapped?.[1] ?? text;
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
