// A clock that a test moves: it runs with the machine's, because OpenSSL checks certificates too, plus the advanced time.

export class TestClock {
  #aheadMs: number;

  /** `aheadSeconds` below zero: certificates issued later are still valid by the machine's clock, which OpenSSL uses. */
  constructor(aheadSeconds = 0) {
    this.#aheadMs = aheadSeconds * 1_000;
  }

  /** Unix milliseconds. */
  readonly now = (): number => Date.now() + this.#aheadMs;

  advanceSeconds(seconds: number): void {
    this.#aheadMs += seconds * 1_000;
  }
}
