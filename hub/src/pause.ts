// Long work on the event loop in slices: after each, what came meanwhile has its turn.
import { performance } from 'node:perf_hooks';

export class Pause {
  readonly #sliceMs: number;
  #sinceMs = performance.now();

  constructor(sliceMs: number) {
    this.#sliceMs = sliceMs;
  }

  /** Resolves at once within a slice, and after a turn of the event loop at its end. */
  async due(): Promise<void> {
    if (performance.now() - this.#sinceMs < this.#sliceMs) return;
    // Two turns: one for what is ready, one for what that brought about.
    for (let turns = 0; turns < 2; turns += 1) await new Promise<void>((resolve) => setImmediate(resolve));
    this.#sinceMs = performance.now();
  }
}
