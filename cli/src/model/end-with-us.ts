// A program that holds plaintext ends with the process that started it, also when that one is killed: the kernel sends the signal (prctl(2),
// PR_SET_PDEATHSIG), which util-linux' `setpriv` asks for.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const setprivPaths = ['/usr/bin/setpriv', '/bin/setpriv'] as const;
const deathSignal = ['--pdeathsig', 'KILL'] as const;

/** What to start in the place of `command`: the same command where this machine has no such `setpriv`, or where no such program is found. */
export function endingWithUs([program, ...words]: readonly [string, ...string[]]): readonly [string, ...string[]] {
  const setpriv = setprivPaths.find((path) => existsSync(path));
  // A program that is missing is named by the system's own error.
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
      // Not there, or not to be executed: the next place.
      return false;
    }
  });
}
