// Lists that are longer than one statement can hold.

// Engines limit the parameters of a statement; SQLite's limit was once 999.
const BATCH_MAX = 500;

/** Runs `work` over the list in batches that one statement can hold, one after the other. */
export async function inBatches<T, R>(
  list: readonly T[],
  work: (part: readonly T[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  const results: R[] = [];
  for (let from = 0; from < list.length; from += BATCH_MAX) {
    for (const result of await work(list.slice(from, from + BATCH_MAX))) results.push(result);
  }
  return results;
}
