// Whether a guard still answers: its model runs on the thread that answers pings, so an inference that does not end within its deadline
// leaves a ping unanswered.

/** Pings within one deadline: limits how much later than the deadline an endless inference is noticed. */
const pingsPerDeadline = 4;

export class Heartbeat {
  readonly #deadlineMs: number;
  readonly #ping: () => void;
  readonly #onStopped: () => void;
  readonly #interval: NodeJS.Timeout;
  #deadline: NodeJS.Timeout | undefined;

  /** `onStopped` is called once, when a ping was not answered within `deadlineMs`. */
  constructor(deadlineMs: number, ping: () => void, onStopped: () => void) {
    this.#deadlineMs = deadlineMs;
    this.#ping = ping;
    this.#onStopped = onStopped;
    this.#interval = setInterval(() => this.#ask(), Math.max(1, deadlineMs / pingsPerDeadline));
    this.#interval.unref();
    this.#ask();
  }

  /** The guard answered. */
  answered(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#interval);
    clearTimeout(this.#deadline);
  }

  #ask(): void {
    // One ping at a time: its deadline starts when it was first sent.
    if (this.#deadline !== undefined) return;
    const deadline = setTimeout(() => {
      // An answer that arrived while this process was busy still counts: one turn of the event loop reads it.
      setImmediate(() => setImmediate(() => this.#deadline === deadline && this.#stopped()));
    }, this.#deadlineMs);
    this.#deadline = deadline.unref();
    this.#ping();
  }

  #stopped(): void {
    this[Symbol.dispose]();
    this.#onStopped();
  }
}
