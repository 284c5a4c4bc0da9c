// Token buckets by key: each device, or each address, may spend a fixed amount per second on average, and bursts worth several seconds.
import { LruMap } from 'toad-cache';

export interface Rate {
  readonly perSecond: number;
  readonly burstSeconds: number;
  /** The minimum size of a full bucket: one request of the largest kind. */
  readonly minBurst?: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

// A bucket takes about 200 bytes. Above this number of keys those that were idle longest start over, which errs on the side of serving.
const BUCKETS_MAX = 200_000;

export class Budgets {
  readonly #perSecond: number;
  readonly #maxTokens: number;
  readonly #buckets = new LruMap<Bucket>(BUCKETS_MAX);

  constructor({ perSecond, burstSeconds, minBurst = 1 }: Rate) {
    this.#perSecond = perSecond;
    this.#maxTokens = Math.max(minBurst, perSecond * burstSeconds);
  }

  /** Takes `cost` from the key's budget. Returns false and takes nothing when less is left. */
  spend(key: string, nowMs: number, cost = 1): boolean {
    const bucket = this.#at(key, nowMs);
    if (bucket.tokens < Math.min(cost, this.#maxTokens)) return false;
    bucket.tokens -= cost;
    return true;
  }

  /** Charges what was used already; the key may end up in debt, by a full bucket at most. */
  charge(key: string, nowMs: number, cost: number): void {
    const bucket = this.#at(key, nowMs);
    bucket.tokens = Math.max(-this.#maxTokens, bucket.tokens - cost);
  }

  /** The seconds until the key has `cost`; 0 when it has enough now. */
  secondsUntil(key: string, nowMs: number, cost = 1): number {
    const missing = Math.min(cost, this.#maxTokens) - this.#at(key, nowMs).tokens;
    return Math.max(0, missing / this.#perSecond);
  }

  #at(key: string, nowMs: number): Bucket {
    const bucket = this.#buckets.get(key) ?? this.#open(key, { tokens: this.#maxTokens, atMs: nowMs });
    const earned = (Math.max(0, nowMs - bucket.atMs) / 1_000) * this.#perSecond;
    bucket.tokens = Math.min(this.#maxTokens, bucket.tokens + earned);
    bucket.atMs = nowMs;
    return bucket;
  }

  #open(key: string, bucket: Bucket): Bucket {
    this.#buckets.set(key, bucket);
    return bucket;
  }
}
