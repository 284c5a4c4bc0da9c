// Child processes of tests, which never outlive the test that started them.
import type { ChildProcess } from 'node:child_process';

/** Ends a child, if it still runs, and resolves once it is gone. */
export async function endChild(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
  // A process that never started does not exist.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.kill(signal);
  await exit;
}

/** An orderly end takes less, also on a busy machine. */
const orderlyMilliseconds = 30_000;

/**
 * For `await using`: ends the child if it still runs. First by a signal, because only an orderly end also ends the child's own processes
 * (`edgekeep hub run` runs the hub as a separate process).
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
