// A program that holds plaintext ends with the process that started it, also when that process is killed: the kernel sends the signal
// (prctl(2), PR_SET_PDEATHSIG), which `setpriv` of util-linux requests.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const setprivPaths = ['/usr/bin/setpriv', '/bin/setpriv'] as const;
const deathSignal = ['--pdeathsig', 'KILL'] as const;

/** What to start in place of `command`: the same command if this machine has no such `setpriv`, or if no such program is found. */
export function endingWithUs([program, ...words]: readonly [string, ...string[]]): readonly [string, ...string[]] {
  const setpriv = setprivPaths.find((path) => existsSync(path));
  // The system's own error names a missing program.
  if (setpriv === undefined || !isExecutable(program)) return [program, ...words];
  // The one of BusyBox has no such option.
  if (spawnSync(setpriv, [...deathSignal, 'true'], { stdio: 'ignore' }).status !== 0) return [program, ...words];
  return [setpriv, ...deathSignal, '--', program, ...words];
}

function isExecutable(program: string): boolean {
  const places = program.includes('/')
    ? [program]
    : (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program));
  return places.some((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      // Missing or not executable: try the next place.
      return false;
    }
  });
}
