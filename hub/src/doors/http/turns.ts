// Each payer has a few requests worked on at once; its others wait in its own line. Even if a payer sends many at once, they delay other
// payers only by those few.
import { HubError } from '../../error.ts';

/** When more than this wait, the next is refused. */
const WAITING_MAX = 512;

interface Line {
  working: number;
  readonly waiting: (() => void)[];
}

export class Turns {
  readonly #most: number;
  readonly #lines = new Map<string, Line>();
  /** Requests that were refused because too many waited. */
  refused = 0;

  /** The hub works on `most` at once for each key. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Resolves when it is this request's turn, to the function that ends it: call it once, also after a failure. Throws `rate-limited`. */
  async take(key: string): Promise<() => void> {
    const line = this.#lines.get(key) ?? { working: 0, waiting: [] };
    this.#lines.set(key, line);
    if (line.working < this.#most) line.working += 1;
    else {
      if (line.waiting.length >= WAITING_MAX) {
        this.refused += 1;
        throw new HubError('rate-limited', 'too many requests at once: slow down', { retryAfterSeconds: 1 });
      }
      await new Promise<void>((resolve) => line.waiting.push(resolve));
    }
    return () => this.#end(key, line);
  }

  // The next in line takes over the place.
  #end(key: string, line: Line): void {
    const next = line.waiting.shift();
    if (next !== undefined) return next();
    line.working -= 1;
    if (line.working === 0) this.#lines.delete(key);
  }
}
