// To which addresses the hub opens a connection that somebody's settings or orders ask for (spec/webhooks.md, "Which addresses"). A hub is
// in networks where others have no access: a receiver's name must not lead it to services there, or of its own machine (server-side request forgery).
import { lookup } from 'node:dns/promises';
import {
  type Address,
  addressText,
  type Network,
  networkContains,
  parseAddress,
  parseNetwork,
} from '@edgekeep/core/canonical/network';

function networks(...texts: readonly string[]): readonly Network[] {
  return texts.map((text) => {
    const network = parseNetwork(text);
    if (network === undefined) throw new TypeError(`${text} is no network`);
    return network;
  });
}

/** Services about the machine itself, which give credentials to any program on it: no setting opens them. */
const metadata = networks(
  '169.254.0.0/16',
  '168.63.129.16/32',
  '100.100.100.200/32',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
);
/** Addresses of no single other machine (IANA's registries of special-purpose addresses), and those that hide one of IPv4. */
const special = networks(
  '0.0.0.0/8',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '64:ff9b:1::/48',
  '::ffff:0:0:0/96',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
);
/** Own networks and the own machine: where a setting names them. */
const ownNetworks = networks(
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '::1/128',
  'fc00::/7',
);
/** IPv4-compatible addresses, `::` among them; `::1` is before it in the order of the questions. */
const [compatible] = networks('::/96');
/** RFC 6052: an address of IPv4 behind a translator. */
const [translated] = networks('64:ff9b::/96');

/** Why the hub does not connect there; undefined where it may. `permitted` are networks in CIDR notation. */
export function refusalOf(address: Address, permitted: readonly string[]): string | undefined {
  const inside = (list: readonly (Network | undefined)[]) =>
    list.some((network) => network !== undefined && networkContains(network, address));
  if (inside(metadata)) return 'it is link-local, or a metadata service';
  if (inside(special)) return 'it is reserved for special purposes';
  if (inside(ownNetworks))
    return inside(permitted.map(parseNetwork)) ? undefined : 'it is private or loopback, and no setting permits it';
  if (inside([compatible])) return 'it is reserved for special purposes';
  if (inside([translated])) return refusalOf({ family: 4, bits: address.bits & 0xffff_ffffn }, permitted);
  return undefined;
}

export interface ReceiverAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

export type Resolve = (host: string) => Promise<readonly { readonly address: string }[]>;

const systemResolver: Resolve = (host) => lookup(host, { all: true });

/**
 * The addresses of a host that the hub may connect to: asked for once, so that a second answer of the name cannot lead elsewhere. Throws
 * a RangeError where there is none.
 */
export async function receiverAddresses(
  host: string,
  permitted: readonly string[],
  resolve: Resolve = systemResolver,
): Promise<readonly [ReceiverAddress, ...ReceiverAddress[]]> {
  const literal = parseAddress(host);
  const found = literal === undefined ? (await resolve(host)).map(({ address }) => parseAddress(address)) : [literal];
  const why = new Set<string>();
  const usable = found.flatMap((address): ReceiverAddress[] => {
    // An address with a zone is link-local.
    const refusal = address === undefined ? 'it is link-local' : refusalOf(address, permitted);
    if (address !== undefined && refusal === undefined)
      return [{ address: addressText(address), family: address.family }];
    why.add(`${address === undefined ? 'an address' : addressText(address)}: ${refusal ?? ''}`);
    return [];
  });
  const [first, ...others] = usable;
  if (first !== undefined) return [first, ...others];
  throw new RangeError(`the hub does not connect to ${host} (${[...why].slice(0, 4).join('; ')})`);
}
