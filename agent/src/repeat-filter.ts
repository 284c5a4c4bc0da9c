// A failure that every attempt meets is reported once, and again while it lasts, so that a log that was rotated or is read late still shows
// it.

/** How long until the same failure is reported again, milliseconds. */
const againMs = 3_600_000;

export class RepeatFilter {
  readonly #elapsed: () => number;
  #text = '';
  #toldMs = 0;

  /** `elapsed` is a clock that cannot be set. */
  constructor(elapsed: () => number) {
    this.#elapsed = elapsed;
  }

  /** Whether to report it now. */
  passes(text: string): boolean {
    const now = this.#elapsed();
    if (text === this.#text && now - this.#toldMs < againMs) return false;
    this.#text = text;
    this.#toldMs = now;
    return true;
  }

  /** It is over: the next one is reported at once. */
  clear(): void {
    this.#text = '';
  }
}
