// How many requests were answered or failed, and how long each step took: the protocol's statistics extension. Totals since the guard
// started. Follows spec/inference.md section 2.

/** Milliseconds of one request, by step. */
export interface Steps {
  readonly queue: number;
  readonly input: number;
  readonly infer: number;
  readonly output: number;
}

/** Nanoseconds, as the protocol counts. */
export interface Duration {
  readonly count: number;
  readonly ns: number;
}

export interface TimingTotals {
  /** Unix milliseconds; 0 before the first one. */
  readonly lastInference: number;
  /** Images or rows: the first size of the first input. */
  readonly inferences: number;
  readonly executions: number;
  readonly success: Duration;
  readonly fail: Duration;
  readonly queue: Duration;
  readonly input: Duration;
  readonly infer: Duration;
  readonly output: Duration;
}

export class Timings {
  #lastInference = 0;
  #inferences = 0;
  #successes = 0;
  #failures = 0;
  #failedMs = 0;
  readonly #sums = { queue: 0, input: 0, infer: 0, output: 0 };

  addSuccess(steps: Steps, batch: number, nowMs: number): void {
    this.#lastInference = nowMs;
    this.#inferences += batch;
    this.#successes += 1;
    for (const step of ['queue', 'input', 'infer', 'output'] as const) this.#sums[step] += steps[step];
  }

  addFailure(milliseconds: number): void {
    this.#failures += 1;
    this.#failedMs += milliseconds;
  }

  read(): TimingTotals {
    const { queue, input, infer, output } = this.#sums;
    const each = (milliseconds: number) => duration(this.#successes, milliseconds);
    return {
      lastInference: this.#lastInference,
      inferences: this.#inferences,
      executions: this.#successes,
      success: each(queue + input + infer + output),
      fail: duration(this.#failures, this.#failedMs),
      queue: each(queue),
      input: each(input),
      infer: each(infer),
      output: each(output),
    };
  }
}

function duration(count: number, milliseconds: number): Duration {
  return { count, ns: Math.round(milliseconds * 1e6) };
}
