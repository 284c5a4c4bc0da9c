// The canonical text of a network that an operator names: `203.0.113.9` is a network of one address. An IPv6 address becomes its /64,
// because a machine changes the rest freely.
import {
  addressText,
  canonicalNetwork,
  networkContains,
  parseAddress,
  parseNetwork,
} from '@edgekeep/core/canonical/network';
import { HubError } from '../common/error.ts';

// A wider network is a mistake: it would cut off a continent.
const PREFIX_MIN = { 4: 8, 6: 16 } as const;

/** Throws `request-invalid` for a text that is no network or address, or for a network that is too wide. */
export function namedNetwork(text: string): string {
  const canonical = text.includes('/') ? canonicalNetwork(text) : networkOfAddress(text);
  const network = canonical === undefined ? undefined : parseNetwork(canonical);
  if (canonical === undefined || network === undefined) {
    throw new HubError(
      'request-invalid',
      'expected an address or a network whose host bits are zero: 203.0.113.9, 203.0.113.0/24, 2001:db8::/48',
    );
  }
  const minPrefixLength = PREFIX_MIN[network.family];
  if (network.prefixLength < minPrefixLength)
    throw new HubError(
      'request-invalid',
      `a network of IPv${network.family} has a prefix of ${minPrefixLength} at least`,
    );
  return canonical;
}

export function networkHas(network: string, address: string): boolean {
  const [parsed, asked] = [parseNetwork(network), parseAddress(address)];
  return parsed !== undefined && asked !== undefined && networkContains(parsed, asked);
}

function networkOfAddress(text: string): string | undefined {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  if (address.family === 4) return `${addressText(address)}/32`;
  return `${addressText({ family: 6, bits: (address.bits >> 64n) << 64n })}/64`;
}
