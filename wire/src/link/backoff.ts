// Exponential backoff with jitter: how long to wait before the next attempt, so that devices that lost their hub together do not return
// together.

export interface BackoffSettings {
  /** After the first failure, milliseconds, before jitter. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

/** Milliseconds to wait after `failures` failures in a row; between half and all of the doubled delay. `random` is in [0, 1). */
export function backoffDelayMs(settings: BackoffSettings, failures: number, random: number): number {
  if (failures === 0) return 0;
  // Beyond 2^30 times the first delay every setting has reached its maximum.
  const doubled = settings.firstDelayMs * 2 ** Math.min(failures - 1, 30);
  return Math.round(Math.min(doubled, settings.maxDelayMs) * (0.5 + random / 2));
}

/** A connection that ends sooner counts as a failed attempt: a hub that accepts and cuts at once is not to be hammered. */
const stableAfterMs = 10_000;

/**
 * The number of failures in a row to continue with after a connection that lasted `lastedMs`. After a stable one it is one, not none:
 * devices that lost their connections together must not return together.
 */
export function failuresAfter(failures: number, lastedMs: number): number {
  return lastedMs >= stableAfterMs ? 1 : failures;
}
