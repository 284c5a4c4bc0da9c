// The server name indication of TLS (RFC 6066 section 3): a DNS name as A-labels, never an IP address; an address is still verified.
import { canonicalHostName } from '@edgekeep/core/canonical/host-name';
import { parseAddress } from '@edgekeep/core/canonical/network';

/** Empty for none. */
export function indicatedName(serverName: string): string {
  const name = canonicalHostName(serverName) ?? '';
  return parseAddress(name) === undefined ? name : '';
}
