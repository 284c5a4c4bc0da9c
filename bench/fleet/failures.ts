// Failures between the devices and the hub: counted by code and reported, so that one lost connection does not end a measurement and none
// stays unnoticed.

/** The number of failures by the hub's error code; a connection that ended or was not made is `connection-lost`. */
export type FailureCounts = Readonly<Record<string, number>>;

/** A refusal of the hub, or the end of a connection. Every other error of a device is a bug of the benchmark. */
export class DeviceFailure extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export class Failures {
  readonly #counts = new Map<string, number>();

  /** Rethrows everything except a `DeviceFailure`. */
  count(error: unknown): void {
    if (!(error instanceof DeviceFailure)) throw error;
    this.#counts.set(error.code, (this.#counts.get(error.code) ?? 0) + 1);
  }

  get counts(): FailureCounts {
    return Object.fromEntries(this.#counts);
  }
}

export function mergeFailures(all: readonly FailureCounts[]): FailureCounts {
  const sum = new Map<string, number>();
  for (const [code, count] of all.flatMap((counts) => Object.entries(counts))) {
    sum.set(code, (sum.get(code) ?? 0) + count);
  }
  return Object.fromEntries(sum);
}

/** `none`, or `3 connection-lost, 1 rate-limited`. */
export function failureText(counts: FailureCounts): string {
  const parts = Object.entries(counts).map(([code, count]) => `${count} ${code}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}
