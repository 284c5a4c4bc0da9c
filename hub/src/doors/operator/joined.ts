// Work with the same result for every caller, done once for all who wait for it.

/**
 * One run at a time. Callers that ask while one is under way share the next, which begins after they asked and sees the state of that time.
 */
export function joined<T>(work: () => Promise<T>): () => Promise<T> {
  let current: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  const run = async (before: Promise<unknown>): Promise<T> => {
    await before;
    next = undefined;
    return work();
  };
  return () => {
    if (next !== undefined) return next;
    next = run(current);
    // All callers of this run get its error; the next run only waits for its end.
    current = next.catch(() => undefined);
    return next;
  };
}
