// The hub's clock as a value, so that tests set the time.
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';

/** Unix milliseconds. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

const STEP_MS_MAX = 1_000;

/**
 * Names the stretch of time in which `clock` was not set: another name after each step of more than a second against the monotonic clock,
 * and in each process.
 */
export function timeEpochs(clock: Clock, elapsedMs: () => number = () => performance.now()): () => string {
  const process = randomUUID();
  let number = 0;
  let offsetMs = clock() - elapsedMs();
  return () => {
    const nowMs = clock() - elapsedMs();
    if (Math.abs(nowMs - offsetMs) > STEP_MS_MAX) {
      number += 1;
      offsetMs = nowMs;
    }
    return `${process}.${number}`;
  };
}
