// Whether a connection that proved its identity may exist beside earlier ones with the same identity (spec/presence.md, "Two places").
// Pure: the known facts go in, a verdict comes out.
import { addressText, canonicalAddress, parseAddress } from '@edgekeep/core/canonical/network';

/** Where a client with the identity is: the same address and certificates of one lineage are one place. */
export interface Spot {
  readonly address: string;
  readonly lineage: number;
}

export interface LivePlace extends Spot {
  readonly id: string;
  /** The newest known request on it. */
  readonly usedAtMs: number;
  /** It was used beside a conflicting session: there are two clients. */
  readonly contested: boolean;
}

export type PlaceVerdict =
  /** There is no other connection, or only from the same place. */
  | { readonly kind: 'alone' }
  /** The root of trust cannot be copied, so it is the same device at another place; the older connections should fall silent now. */
  | { readonly kind: 'moved'; readonly others: readonly LivePlace[] }
  /** The other connections have been silent for so long that the new one replaces them; they must be cut. */
  | { readonly kind: 'replaced'; readonly others: readonly LivePlace[] }
  /** Refused: another client has the identity, and nothing shows which of the two is genuine. */
  | { readonly kind: 'taken'; readonly others: readonly LivePlace[] };

export interface PlaceRule {
  /** The new client's root of trust is hardware that cannot be in two places. */
  readonly cannotBeCopied: boolean;
  readonly silentMs: number;
  readonly nowMs: number;
}

export function judgePlace(newcomer: Spot, live: readonly LivePlace[], rule: PlaceRule): PlaceVerdict {
  const others = live.filter((place) => !isSameSpot(place, newcomer));
  if (others.length === 0) return { kind: 'alone' };
  const contested = others.filter((place) => place.contested);
  if (contested.length > 0) return { kind: 'taken', others: contested };
  if (rule.cannotBeCopied) return { kind: 'moved', others };
  const heard = others.filter(({ usedAtMs }) => rule.nowMs - usedAtMs < rule.silentMs);
  return heard.length > 0 ? { kind: 'taken', others: heard } : { kind: 'replaced', others };
}

export function isSameSpot(one: Spot, other: Spot): boolean {
  return one.lineage === other.lineage && networkOf(one.address) === networkOf(other.address);
}

/**
 * A machine's place in the network: an IPv4 address, or the first 64 bits of an IPv6 address, because a machine changes the rest itself.
 */
export function networkOf(address: string | undefined): string {
  // A socket that has ended has no address, even though the type of `request.ip` says otherwise.
  if (address === undefined) return 'unknown';
  const parsed = parseAddress(canonicalAddress(address) ?? '');
  if (parsed === undefined) return address;
  const { family, bits } = parsed;
  if (family === 4) return addressText(parsed);
  return [112n, 96n, 80n, 64n].map((shift) => ((bits >> shift) & 0xffffn).toString(16)).join(':');
}
