// Waits until something is due. A timer alone would be late after the machine slept, and would miss a clock that was set.

// Often enough that a lease is over within a second of its end, for any change of the clock.
const LOOK_MS_MAX = 1_000;

/** Resolves when `leftMs` returns that nothing is left, or at once when `signal` is aborted: check the signal afterwards. */
export async function waitUntilDue(leftMs: () => number, signal: AbortSignal): Promise<void> {
  for (let left = leftMs(); left > 0 && !signal.aborted; left = leftMs()) {
    await pause(Math.min(left, LOOK_MS_MAX), signal);
  }
}

/** Resolves after this many milliseconds, or when `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const stop = () => resolve();
  signal.addEventListener('abort', stop, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  });
}
