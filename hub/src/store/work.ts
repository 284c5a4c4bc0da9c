// The hub's work for a request, in milliseconds. Work that blocks the event loop is measured where it is done: queries, transactions, JSON, schemas.
import { performance } from 'node:perf_hooks';
import { actingNow } from './authority.ts';

/** Runs `work`, which must not wait for anything, and charges its time to the request that it belongs to. */
export function worked<T>(work: () => T): T {
  const beganMs = performance.now();
  try {
    return work();
  } finally {
    actingNow()?.charge(performance.now() - beganMs);
  }
}
