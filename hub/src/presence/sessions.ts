// Whether a connection that proved its identity may exist beside earlier ones with the same identity (spec/presence.md, "Concurrent sessions").
// Pure: the known facts go in, a verdict comes out.
import { networkOf } from '@edgekeep/core/canonical/network-of';

/** Where a client with the identity is: the same address and certificates of one lineage are one place. */
export interface SessionOrigin {
  readonly address: string;
  readonly lineage: number;
}

export interface LiveSession extends SessionOrigin {
  readonly id: string;
  /** The newest known request on it. */
  readonly usedAtMs: number;
  /** It was used beside a conflicting session: there are two clients. */
  readonly contested: boolean;
}

export type SessionVerdict =
  /** There is no other connection, or only from the same place. */
  | { readonly kind: 'alone' }
  /** The root of trust cannot be copied, so it is the same device at another place; the older connections should fall silent now. */
  | { readonly kind: 'moved'; readonly others: readonly LiveSession[] }
  /** The other connections have been silent for so long that the new one replaces them; they must be cut. */
  | { readonly kind: 'replaced'; readonly others: readonly LiveSession[] }
  /** Refused: another client has the identity, and nothing shows which of the two is genuine. */
  | { readonly kind: 'taken'; readonly others: readonly LiveSession[] };

export interface SessionRule {
  /** The new client's root of trust is hardware that cannot be in two places. */
  readonly cannotBeCopied: boolean;
  readonly silentMs: number;
  readonly nowMs: number;
}

export function judgeSession(newcomer: SessionOrigin, live: readonly LiveSession[], rule: SessionRule): SessionVerdict {
  const others = live.filter((session) => !isSameOrigin(session, newcomer));
  if (others.length === 0) return { kind: 'alone' };
  const contested = others.filter((session) => session.contested);
  if (contested.length > 0) return { kind: 'taken', others: contested };
  if (rule.cannotBeCopied) return { kind: 'moved', others };
  const heard = others.filter(({ usedAtMs }) => rule.nowMs - usedAtMs < rule.silentMs);
  return heard.length > 0 ? { kind: 'taken', others: heard } : { kind: 'replaced', others };
}

export function isSameOrigin(one: SessionOrigin, other: SessionOrigin): boolean {
  return one.lineage === other.lineage && networkOf(one.address) === networkOf(other.address);
}
