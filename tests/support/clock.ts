// A clock that a test moves: it runs with the machine's, because certificates are also checked by OpenSSL, plus what it was advanced.

export class TestClock {
  #aheadMs = 0;

  /** Unix milliseconds. */
  readonly now = (): number => Date.now() + this.#aheadMs;

  advanceSeconds(seconds: number): void {
    this.#aheadMs += seconds * 1_000;
  }
}
