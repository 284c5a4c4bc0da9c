// Splits long work on the event loop into slices: after each slice, pending events get their turn.
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
    // Two turns: one for events that are ready, one for their effects.
    for (let turns = 0; turns < 2; turns += 1) await new Promise<void>((resolve) => setImmediate(resolve));
    this.#sinceMs = performance.now();
  }
}
