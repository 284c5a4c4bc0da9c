// Builds the optional native part: the helper that puts the guard behind seccomp and Landlock. Without a C compiler nothing is built, and
// the agent reports the two walls as missing. Plain JavaScript, because the machine's own Node may be as old as 20.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'agent', 'native');
const source = join(folder, 'guard-filter.c');
const target = join(folder, 'guard-filter');

export function buildNative() {
  if (existsSync(target) && statSync(target).mtimeMs >= statSync(source).mtimeMs) return;
  const built = spawnSync('cc', ['-O2', '-Wall', '-Werror', '-o', target, source], { encoding: 'utf8' });
  if (built.error !== undefined)
    say('no C compiler: the guard runs without a filter of system calls and without Landlock');
  else if (built.status !== 0)
    say(`the guard's filter of system calls is not built: ${built.stderr.trim().split('\n')[0]}`);
}

function say(text) {
  process.stdout.write(`set-up: ${text}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildNative();
