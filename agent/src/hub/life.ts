// How much of a life that the hub gave (a certificate's, a lease's) has passed, and when the next one is due. The hub's times say how long it
// is; when it began is this device's own moment. So a clock that is wrong shortens nothing, and one that is set back prolongs nothing.

/** One moment by both clocks of the device, milliseconds. */
export interface Moment {
  /** Unix time; may be set at any time. */
  readonly wallMs: number;
  /** Runs evenly from some start; does not run while the machine sleeps. */
  readonly elapsedMs: number;
}

export interface Clocks {
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Milliseconds since some start, which no one can set. */
  readonly elapsed: () => number;
}

// A wall clock that jumps ahead may call for the next renewal early, but not sooner than this share of a life after the last one.
const shortestWaitShare = 1 / 16;

export function momentOf({ clock, elapsed }: Clocks): Moment {
  return { wallMs: clock(), elapsedMs: elapsed() };
}

export class Life {
  /** Milliseconds. */
  readonly lengthMs: number;
  readonly #begun: Moment;

  constructor(begun: Moment, lengthMs: number) {
    this.#begun = begun;
    this.lengthMs = Math.max(0, lengthMs);
  }

  /** By the clock that says more: the wall clock counts sleep, the other one cannot be set back. */
  passedMs(now: Moment): number {
    return Math.max(now.wallMs - this.#begun.wallMs, now.elapsedMs - this.#begun.elapsedMs);
  }

  /** Zero or less when it is over. */
  leftMs(now: Moment): number {
    return this.lengthMs - this.passedMs(now);
  }

  /** How long to wait with the renewal that is due after `share` of the life; zero or less when it is due. */
  untilRenewalMs(now: Moment, share: number): number {
    const shortest = this.lengthMs * shortestWaitShare - (now.elapsedMs - this.#begun.elapsedMs);
    return Math.max(shortest, this.lengthMs * share - this.passedMs(now));
  }
}
