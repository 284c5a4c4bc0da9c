// Work that gives everyone the same, done for all who wait for it at once.

/** One run at a time. All who ask while one is under way share the next, which begins after they asked and sees what was there by then. */
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
    // All who share this run get its error; the run behind it only waits for the end.
    current = next.catch(() => undefined);
    return next;
  };
}
