// The network that an address counts for when attempts, connections and places are counted by network.
import { isIPv4 } from 'node:net';
import { addressText, canonicalAddress, parseAddress } from './network.ts';

/**
 * A machine's place in the network: an IPv4 address, or the first 64 bits of an IPv6 address, because a machine changes the rest itself.
 */
export function networkOf(address: string | undefined): string {
  // A socket that has ended has no address, even though the type of `request.ip` says otherwise.
  if (address === undefined) return 'unknown';
  if (isIPv4(address)) return address;
  const parsed = parseAddress(canonicalAddress(address) ?? '');
  if (parsed === undefined) return address;
  const { family, bits } = parsed;
  if (family === 4) return addressText(parsed);
  return [112n, 96n, 80n, 64n].map((shift) => ((bits >> shift) & 0xffffn).toString(16)).join(':');
}
