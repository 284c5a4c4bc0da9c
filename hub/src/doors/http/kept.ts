// A value that takes work to make and is the same for every caller: made once for all who ask, and kept until what it was made of changes.
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

/** What a value was made of: the same members, the same value. Undefined where nobody can say: then the value is made again each time. */
export type Revision = readonly unknown[] | undefined;

export interface Source<T> {
  readonly revision: () => Revision;
  readonly make: () => Promise<T>;
}

/** After each run a pause of this many times as long: callers who change what it is made of do not get the hub to make it without end. */
const REST_TIMES = 10;
const REST_MILLISECONDS_MAX = 2_000;

/**
 * Gives a value that is never older than the call. One run of `make` at a time; callers that ask while one is under way share the next, which
 * begins after they asked.
 */
export function kept<T>({ revision, make }: Source<T>, rest: (milliseconds: number) => Promise<unknown> = delay) {
  let held: { readonly revision: Revision; readonly value: T } | undefined;
  let resting: Promise<unknown> = Promise.resolve();
  const current = () => (held !== undefined && isSame(held.revision, revision()) ? held : undefined);
  const run = joined(async () => {
    await resting;
    const other = current();
    if (other !== undefined) return other.value;
    // Read first: a change while it is made leads to another run.
    const of = revision();
    const beganMs = performance.now();
    try {
      const value = await make();
      held = { revision: of, value };
      return value;
    } finally {
      resting = rest(Math.min(REST_MILLISECONDS_MAX, REST_TIMES * (performance.now() - beganMs)));
    }
  });
  return async (): Promise<T> => current()?.value ?? run();
}

function isSame(one: Revision, other: Revision): boolean {
  if (one === undefined || other === undefined) return false;
  return one.length === other.length && one.every((member, at) => member !== undefined && member === other[at]);
}

/** One run at a time; callers that ask while one is under way share the next. */
function joined<T>(work: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  const run = async (before: Promise<unknown>): Promise<T> => {
    await before;
    next = undefined;
    return work();
  };
  return () => {
    if (next !== undefined) return next;
    next = run(last);
    // All callers of this run get its error; the next run only waits for its end.
    last = next.catch(() => undefined);
    return next;
  };
}
