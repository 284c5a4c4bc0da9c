// Each payer has a few requests worked on at once, and one of them begins in each turn of the event loop; its others wait in its own line. Even if a
// payer sends many at once, a request of another payer meets one of them at a time.
import { HubError } from '../../common/error.ts';

/** When more than this wait, the next is refused. */
const WAITING_MAX = 512;

interface Line {
  working: number;
  /** One has begun in this turn of the event loop. */
  begun: boolean;
  readonly waiting: (() => void)[];
}

export class ConcurrencyLimiter {
  readonly #maxWorking: number;
  readonly #lines = new Map<string, Line>();
  /** Requests that were refused because too many waited. */
  refused = 0;

  /** The hub works on `maxWorking` at once for each key. */
  constructor(maxWorking: number) {
    this.#maxWorking = maxWorking;
  }

  /** Resolves when it is this request's turn, to the function that ends it: call it once, also after a failure. Throws `rate-limited`. */
  async take(key: string): Promise<() => void> {
    const line = this.#lines.get(key) ?? { working: 0, begun: false, waiting: [] };
    this.#lines.set(key, line);
    if (!line.begun && line.working < this.#maxWorking) this.#begin(key, line);
    else {
      if (line.waiting.length >= WAITING_MAX) {
        this.refused += 1;
        throw new HubError('rate-limited', 'too many requests at once: slow down', { retryAfterSeconds: 1 });
      }
      await new Promise<void>((resolve) => line.waiting.push(resolve));
    }
    return () => {
      line.working -= 1;
      this.#continue(key, line);
    };
  }

  #begin(key: string, line: Line): void {
    line.working += 1;
    line.begun = true;
    setImmediate(() => {
      line.begun = false;
      this.#continue(key, line);
    });
  }

  #continue(key: string, line: Line): void {
    if (line.begun || line.working >= this.#maxWorking) return;
    const next = line.waiting.shift();
    if (next !== undefined) {
      this.#begin(key, line);
      next();
    } else if (line.working === 0) this.#lines.delete(key);
  }
}
