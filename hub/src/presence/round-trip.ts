// How long a device takes to answer a challenge, beyond the network round trip: the time to sign, when nothing is between it and its root
// of trust. A relay adds its own round trip (docs/design/relay.md).

interface Timing {
  answeredAt: number | undefined;
  challengedAt: number | undefined;
  askedAt: number;
  /** The shortest time from a response to the next request: at least the network round trip. */
  shortest: number;
}

export class RoundTrips<Connection extends object> {
  readonly #elapsed: () => number;
  readonly #timings = new WeakMap<Connection, Timing>();

  /** `elapsed` is in milliseconds and cannot be set. */
  constructor(elapsed: () => number = () => performance.now()) {
    this.#elapsed = elapsed;
  }

  /** A request begins to arrive. */
  asked(connection: Connection): void {
    const timing = this.#of(connection);
    timing.askedAt = this.#elapsed();
    if (timing.answeredAt !== undefined)
      timing.shortest = Math.min(timing.shortest, timing.askedAt - timing.answeredAt);
  }

  /** A response has left; `isChallenge` when a proof comes next. */
  answered(connection: Connection, isChallenge: boolean): void {
    const timing = this.#of(connection);
    timing.answeredAt = this.#elapsed();
    if (isChallenge) timing.challengedAt = timing.answeredAt;
  }

  /** Whole milliseconds that the proof in this request took beyond the round trip; undefined where that is not known. */
  proofMs(connection: Connection): number | undefined {
    const { challengedAt, askedAt, shortest } = this.#of(connection);
    if (challengedAt === undefined || askedAt < challengedAt || shortest === Infinity) return undefined;
    return Math.max(0, Math.round(askedAt - challengedAt - shortest));
  }

  #of(connection: Connection): Timing {
    const known = this.#timings.get(connection);
    if (known !== undefined) return known;
    const timing = { answeredAt: undefined, challengedAt: undefined, askedAt: 0, shortest: Infinity };
    this.#timings.set(connection, timing);
    return timing;
  }
}
