// Steps of work that a test controls: it acts in the middle of the work, at a moment counted in steps and not in milliseconds.

export class Steps {
  #taken = 0;
  readonly #waiting = new Set<{ readonly goal: number; readonly resolve: () => void }>();

  /** Reports that one more step is done. */
  readonly take = (): void => {
    this.#taken += 1;
    for (const each of this.#waiting) {
      if (this.#taken < each.goal) continue;
      this.#waiting.delete(each);
      each.resolve();
    }
  };

  /** Resolves when this many more are done. */
  more(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add({ goal: this.#taken + count, resolve });
    return promise;
  }
}
