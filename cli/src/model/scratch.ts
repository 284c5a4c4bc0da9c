// A private folder for the intermediate files of a verb (an optimised model is plaintext): removed when the verb ends, is interrupted, or
// fails. The next run removes what a killed process left.
import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Scratch {
  readonly folder: string;
  [Symbol.dispose](): void;
}

/** Makes `PREFIX-NAMESPACE-PID-…` in the temporary folder, mode 0700. */
export function openScratch(prefix: string): Scratch {
  removeAbandoned(prefix);
  // Nobody but its owner may look into a folder of mkdtemp.
  const folder = mkdtempSync(join(tmpdir(), `${prefix}-${processNamespace()}-${process.pid}-`));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const interrupted = (signal: NodeJS.Signals) => {
    remove();
    // The default action of the signal, as without this listener.
    forget();
    process.kill(process.pid, signal);
  };
  const forget = () => {
    for (const signal of signals) process.off(signal, interrupted);
  };
  for (const signal of signals) process.on(signal, interrupted);
  return {
    folder,
    [Symbol.dispose]() {
      forget();
      remove();
    },
  };
}

// A process id means something in its own namespace alone: a container that shares the temporary folder has others.
function processNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    // Without /proc there is one namespace.
    return '0';
  }
}

function removeAbandoned(prefix: string): void {
  const own = processNamespace();
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${prefix}-${own}-(\\d{1,10})-`).exec(name)?.[1];
    if (pid === undefined || isRunning(Number(pid))) continue;
    const path = join(tmpdir(), name);
    // Do not touch another user's folder of that name.
    if (statSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.())
      rmSync(path, { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
