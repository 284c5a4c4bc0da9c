// The end of a test file: closes everything that was opened, newest first, also when one of them fails to close. An open part would keep
// the process alive forever: a connection reconnects, a hub listens.

/** In the order of opening; parts that a failure left out are undefined. */
export async function closeAll(...opened: readonly (AsyncDisposable | undefined)[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  for (const each of opened) if (each !== undefined) stack.use(each);
}
