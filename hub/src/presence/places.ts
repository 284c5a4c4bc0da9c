// Whether a connection that proved its identity may stand beside those that did so before (spec/presence.md, "Two places"). Pure: what is
// known comes in, a verdict goes out.
import { isIPv4, isIPv6 } from 'node:net';

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
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || isIPv4(address)) return mapped ?? address;
  return isIPv6(address) ? firstHalf(address) : address;
}

function firstHalf(address: string): string {
  const [plain = ''] = address.split('%', 1);
  const [head = '', tail] = plain.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [left, right] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const all = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
