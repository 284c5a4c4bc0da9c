// A folder in memory for the files of unit tests: on a disk they wait most of their time until it has written. Tests of what a disk does
// (tests/) keep the disk.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const parent = '/dev/shm';
/** The files that two processes of tests have at once take a tenth of it. */
const leastBytes = 2 ** 30;

/** Its path, or undefined where there is none that programs could be started from. It is removed when this process ends. */
export function memoryFolder() {
  try {
    const { bavail, bsize } = statfsSync(parent);
    if (bavail * bsize < leastBytes) return undefined;
    // Short: paths of sockets have at most 107 bytes.
    const folder = mkdtempSync(join(parent, 'ek-'));
    // As the usual one, open to a test that becomes another user.
    chmodSync(folder, 0o711);
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    return runs(folder) ? folder : undefined;
  } catch {
    // No such file system, or one that others may not use: the disk is there.
    return undefined;
  }
}

function runs(folder) {
  const file = join(folder, 'program');
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o700);
  return spawnSync(file).status === 0;
}
