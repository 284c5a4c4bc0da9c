// What every attempt meets again is told once, and again when it lasts: a log that was rotated or read late has it all the same.

/** How long until the same is told again, milliseconds. */
const againMs = 3_600_000;

export class News {
  readonly #elapsed: () => number;
  #text = '';
  #toldMs = 0;

  /** `elapsed` is a clock that nobody can set. */
  constructor(elapsed: () => number) {
    this.#elapsed = elapsed;
  }

  /** Whether to tell it now. */
  take(text: string): boolean {
    const now = this.#elapsed();
    if (text === this.#text && now - this.#toldMs < againMs) return false;
    this.#text = text;
    this.#toldMs = now;
    return true;
  }

  /** It is over: the same is news again. */
  clear(): void {
    this.#text = '';
  }
}
