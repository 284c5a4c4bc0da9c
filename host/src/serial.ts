// One operation after the other, in the order of the calls. A failed one does not stop the next.

export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  run<Result>(operation: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(operation);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when every operation requested before this call has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
