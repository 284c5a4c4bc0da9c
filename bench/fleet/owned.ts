// What a measurement starts ends with it, also when a signal ends it: child processes and its scratch folder.
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { constants } from 'node:os';

const processes = new Set<ChildProcess>();
const folders = new Set<string>();

export function ownProcess<T extends ChildProcess>(child: T): T {
  processes.add(child);
  child.once('exit', () => processes.delete(child));
  return child;
}

export function ownFolder(path: string): string {
  folders.add(path);
  return path;
}

/** Call it once, in the process of the measurement. */
export function endAllOnSignal(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  process.once('exit', () => {
    for (const child of processes) child.kill('SIGKILL');
    for (const path of folders) rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  });
}
