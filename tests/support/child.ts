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

/** An orderly end takes less, on a busy machine, too. */
const orderlyMilliseconds = 30_000;

/**
 * For `await using`: the child is ended, if it still runs. It is asked first, because what it started itself ends only with an orderly end of it (`edgekeep
 * hub run` runs the hub as a process of its own).
 */
export function ending(child: ChildProcess): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      const insist = setTimeout(() => child.kill('SIGKILL'), orderlyMilliseconds);
      await endChild(child, 'SIGTERM');
      clearTimeout(insist);
    },
  };
}
