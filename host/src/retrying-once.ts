// A value that is made once and kept; a failure is not. A promise kept in a field keeps its rejection too: one failed read would be the answer until
// the process ends.

/**
 * Everybody who asks while it is being made waits for the same one. A failure reaches them and is forgotten: the next who asks makes it anew. `forget`
 * lets the next one make it anew after a success as well.
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
      // Whoever waits gets the error from `making`; here it only ends being kept, unless something newer is.
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

// So that a throw before the first await is a rejection like any other.
async function made<T>(make: () => Promise<T>): Promise<T> {
  return make();
}
