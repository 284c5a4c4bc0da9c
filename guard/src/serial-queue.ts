// One thing at a time, a bounded number waiting, each for a bounded time: inference blocks the thread, so a longer line only hides overload.
import { GuardError } from './error.ts';

export class SerialQueue {
  readonly #maxWaiting: number;
  readonly #maxWaitingMs: number;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(maxWaiting: number, maxWaitingMs: number) {
    this.#maxWaiting = maxWaiting;
    this.#maxWaitingMs = maxWaitingMs;
  }

  /**
   * Runs `work` after everything that came before it. Work whose turn comes too late is not started.
   * @throws GuardError `queue-full` at once, `queue-timeout` after the wait; else what `work` throws
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= this.#maxWaiting) throw new GuardError('queue-full', `${this.#waiting} requests wait already`);
    const before = this.#last;
    const turn = Promise.withResolvers<void>();
    this.#last = turn.promise;
    this.#waiting += 1;
    try {
      await this.#myTurn(before);
    } catch (error) {
      // The work after it still waits for the work in front.
      void before.then(() => turn.resolve());
      throw error;
    } finally {
      this.#waiting -= 1;
    }
    try {
      return await work();
    } finally {
      turn.resolve();
    }
  }

  /** Resolves when everything that is in the lane now has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }

  async #myTurn(before: Promise<unknown>): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new GuardError('queue-timeout', `no turn within ${this.#maxWaitingMs} ms`)),
      this.#maxWaitingMs,
    );
    try {
      await Promise.race([before, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
