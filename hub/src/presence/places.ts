// Whether a connection that proved its identity may stand beside those that did so before (spec/presence.md, "Two places"). Pure: what is
// known comes in, a verdict goes out.
import { addressText, canonicalAddress, parseAddress } from '@edgekeep/core/canonical/network';

/** From where an identity speaks: the same address and certificates that descend from one another are one spot. */
export interface Spot {
  readonly address: string;
  readonly lineage: number;
}

export interface LivePlace extends Spot {
  readonly id: string;
  /** The newest request on it that is known of. */
  readonly usedAtMs: number;
  /** It was used beside a rival: there are two. */
  readonly contested: boolean;
}

export type PlaceVerdict =
  /** Nobody else is there, or at the same spot only. */
  | { readonly kind: 'alone' }
  /** The root of trust cannot be copied, so it is the same device at another spot; the older ones should fall silent now. */
  | { readonly kind: 'moved'; readonly others: readonly LivePlace[] }
  /** The others have been silent for so long that the newcomer takes their place; they are to be cut. */
  | { readonly kind: 'replaced'; readonly others: readonly LivePlace[] }
  /** Refused: somebody else has the identity, and nothing shows which of the two is genuine. */
  | { readonly kind: 'taken'; readonly others: readonly LivePlace[] };

export interface PlaceRule {
  /** The newcomer's root of trust is hardware that cannot be in two places. */
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

/** What stands for a machine's place in the network: an IPv4 address, or the first 64 bits of an IPv6 one, whose rest a machine changes by itself. */
export function networkOf(address: string | undefined): string {
  // A socket that has ended has no address any more, whatever the type of `request.ip` says.
  if (address === undefined) return 'unknown';
  const parsed = parseAddress(canonicalAddress(address) ?? '');
  if (parsed === undefined) return address;
  const { family, bits } = parsed;
  if (family === 4) return addressText(parsed);
  return [112n, 96n, 80n, 64n].map((shift) => ((bits >> shift) & 0xffffn).toString(16)).join(':');
}
