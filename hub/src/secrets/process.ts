// How the hub's process protects the keys in its memory: only its user can read new files, and it warns when a crash would write memory to
// disk.
import { readFile } from 'node:fs/promises';
import { coreFileRisk } from '@edgekeep/host/core-files';
import { orIfMissing } from '@edgekeep/host/missing-file';

export function restrictNewFiles(): void {
  process.umask(0o077);
}

/** A warning when a core file may be written, else undefined. The process lowers the limit when it starts, if `prlimit` is installed. */
export async function coreDumpWarning(
  limitsFile = '/proc/self/limits',
  patternFile = '/proc/sys/kernel/core_pattern',
): Promise<string | undefined> {
  const [limits, pattern] = await Promise.all(
    [limitsFile, patternFile].map((file) => orIfMissing(readFile(file, 'utf8'), '')),
  );
  return coreFileRisk({ limits: limits ?? '', pattern: pattern ?? '' });
}
