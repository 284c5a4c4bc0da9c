// How the hub's process protects the keys in its memory: only its user can read new files, and it warns when a crash would write memory to
// disk.
import { readFile } from 'node:fs/promises';
import { orIfMissing } from '@edgekeep/host/missing-file';

export function restrictNewFiles(): void {
  process.umask(0o077);
}

/** A warning when a core file may be written, else undefined. The process lowers the limit when it starts, if `prlimit` is installed. */
export async function coreDumpWarning(limitsFile = '/proc/self/limits'): Promise<string | undefined> {
  const text = await orIfMissing(readFile(limitsFile, 'utf8'), '');
  const soft = /^Max core file size\s+(\S+)/m.exec(text)?.[1];
  // At one byte the kernel also starts no program that collects core files.
  if (soft === '0' || soft === '1') return undefined;
  return soft === undefined
    ? 'the core file limit is not known: a crash may write keys to disk'
    : `the core file limit is ${soft}: a crash may write keys to disk. Start with \`ulimit -c 0\`, or LimitCORE=0 in the unit`;
}
