// A value that is made once and kept; a failure is not kept. A promise kept in a field keeps its rejection too: one failed read would be
// the answer until the process ends.

/**
 * Callers that ask while it is being made wait for the same one. A failure reaches them and is forgotten: the next caller makes it again.
 * `forget` makes the next caller make it again after a success as well.
 */
export interface RetryingOnce<T> {
  (): Promise<T>;
  readonly forget: () => void;
}

export function retryingOnce<T>(make: () => Promise<T>): RetryingOnce<T> {
  let kept: Promise<T> | undefined;
  const get = (): Promise<T> => {
    if (kept !== undefined) return kept;
    const making = made(make);
    kept = making;
    making.catch(() => {
      // The callers get the error from `making`; here it only stops being kept, unless a newer one is kept.
      if (kept === making) kept = undefined;
    });
    return making;
  };
  return Object.assign(get, {
    forget: () => {
      kept = undefined;
    },
  });
}

// So that a throw before the first await is a rejection too.
async function made<T>(make: () => Promise<T>): Promise<T> {
  return make();
}
