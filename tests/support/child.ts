// Child processes of tests, which never outlive what started them.
import type { ChildProcess } from 'node:child_process';

/** Ends a child, if it still runs, and resolves once it is gone. */
export async function endChild(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
  // One that never started has no process.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.kill(signal);
  await exit;
}

/** Ends the child when the returned stack is disposed. */
export function ending<Child extends ChildProcess>(child: Child): AsyncDisposable & { readonly child: Child } {
  return { child, [Symbol.asyncDispose]: () => endChild(child) };
}
