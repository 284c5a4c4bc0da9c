// Token buckets by key: each device, or each address, may spend a fixed amount per second on average, and bursts worth several seconds.

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

// A bucket takes about 100 bytes. Above this number of keys the oldest start over, which errs on the side of serving.
const BUCKETS_MAX = 200_000;

export class Budgets {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Takes `cost` from the key's budget. Returns false and takes nothing when less is left. */
  spend(key: string, nowMs: number, cost = 1): boolean {
    const { perSecond, burstSeconds, minBurst = 1 } = this.#rate;
    const most = Math.max(minBurst, perSecond * burstSeconds);
    const bucket = this.#buckets.get(key) ?? this.#open(key, { tokens: most, atMs: nowMs });
    bucket.tokens = Math.min(most, bucket.tokens + (Math.max(0, nowMs - bucket.atMs) / 1_000) * perSecond);
    bucket.atMs = nowMs;
    if (bucket.tokens < Math.min(cost, most)) return false;
    bucket.tokens -= cost;
    return true;
  }

  #open(key: string, bucket: Bucket): Bucket {
    if (this.#buckets.size >= BUCKETS_MAX) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    this.#buckets.set(key, bucket);
    return bucket;
  }
}
