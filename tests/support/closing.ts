// The end of a test file: everything that was opened is closed, the newest first, also when closing one of them fails. What stays open would hold
// the process for ever: a link connects again, a hub listens on.

/** In the order in which they were opened; those that a failure left out are undefined. */
export async function closeAll(...opened: readonly (AsyncDisposable | undefined)[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  for (const each of opened) if (each !== undefined) stack.use(each);
}
