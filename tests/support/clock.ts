// A clock that a test moves: it runs with the machine's, because certificates are also checked by OpenSSL, plus what it was advanced.

export class TestClock {
  #aheadMs: number;

  /** `aheadSeconds` below zero: what is issued later is still valid by the machine's clock, after which OpenSSL goes. */
  constructor(aheadSeconds = 0) {
    this.#aheadMs = aheadSeconds * 1_000;
  }

  /** Unix milliseconds. */
  readonly now = (): number => Date.now() + this.#aheadMs;

  advanceSeconds(seconds: number): void {
    this.#aheadMs += seconds * 1_000;
  }
}
