// How much of a life that the hub granted (of a certificate or a lease) has passed, and when the next one is due. The hub's times give its
// length; it begins at this device's own time of receipt. So a wrong clock does not shorten it, and a clock that is set back does not
// extend it.

/** One moment by both clocks of the device, milliseconds. */
export interface ClockReading {
  /** Unix time; may be set at any time. */
  readonly wallMs: number;
  /** Runs evenly from some start; stops while the machine sleeps. */
  readonly elapsedMs: number;
}

export interface Clocks {
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Milliseconds since some start; cannot be set. */
  readonly elapsed: () => number;
}

// A wall clock that jumps ahead may trigger the next renewal early, but not sooner than this share of a life after the last one.
const shortestWaitShare = 1 / 16;

export function readClocks({ clock, elapsed }: Clocks): ClockReading {
  return { wallMs: clock(), elapsedMs: elapsed() };
}

export class Lifetime {
  /** Milliseconds. */
  readonly lengthMs: number;
  readonly #begun: ClockReading;

  constructor(begun: ClockReading, lengthMs: number) {
    this.#begun = begun;
    this.lengthMs = Math.max(0, lengthMs);
  }

  /** The larger of both clocks: the wall clock counts sleep, the other one cannot be set back. */
  passedMs(now: ClockReading): number {
    return Math.max(now.wallMs - this.#begun.wallMs, now.elapsedMs - this.#begun.elapsedMs);
  }

  /** Zero or less when it is over. */
  leftMs(now: ClockReading): number {
    return this.lengthMs - this.passedMs(now);
  }

  /** How long to wait with the renewal that is due after `share` of the life; zero or less when it is due. */
  untilRenewalMs(now: ClockReading, share: number): number {
    const shortest = this.lengthMs * shortestWaitShare - (now.elapsedMs - this.#begun.elapsedMs);
    return Math.max(shortest, this.lengthMs * share - this.passedMs(now));
  }
}
