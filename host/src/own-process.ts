// The first steps of a process that holds keys: it writes printable text only, disables Node's debugger, and loads compiled code from no folder that another user could
// write.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { url as inspectorUrl } from 'node:inspector';
import { enableCompileCache } from 'node:module';
import { userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { inspect } from 'node:util';
import { printOnly } from './printable.ts';
import { othersMayWrite } from './trusted-path.ts';

/** As every verb of the command line has it (docs/cli.md). */
const usageExitCode = 2;
const uncaughtExitCode = 1;
const openToOthers = 0o077;
const prlimitPaths = ['/usr/bin/prlimit', '/bin/prlimit'] as const;

/** Ends the process with a message when its environment is not safe for keys. Called before anything else is loaded. */
export function hardenProcess(): void {
  printOnly([process.stdout, process.stderr]);
  sayLastWords();
  shutDebugger();
  forbidCoreFiles();
  useOwnCompileCache();
}

/** Node prints an error that nobody caught past `printOnly`, and texts of others are in its message. The exit code is Node's. */
function sayLastWords(): void {
  process.setUncaughtExceptionCaptureCallback((error) => {
    process.stderr.write(`${inspect(error)}\n`);
    process.exit(uncaughtExitCode);
  });
}

/**
 * Node opens its debugger to every local user in a process that gets SIGUSR1, and any process of the same user id can send it. A listener
 * takes the signal over, for a start without `--disable-sigusr1`.
 */
function shutDebugger(): void {
  process.on('SIGUSR1', () => undefined);
  const url = inspectorUrl();
  if (url !== undefined) refuse(`a debugger listens at ${url} and would show keys: start without --inspect`);
}

/** Compiled code is cached in the user's own cache folder. If other users can write there, there is no cache. */
function useOwnCompileCache(): void {
  const given = process.env['NODE_COMPILE_CACHE'];
  if (given !== undefined) {
    const why = existsSync(given) ? othersMayWrite(given) : undefined;
    if (why !== undefined) refuse(`NODE_COMPILE_CACHE: ${why}, who could run code here: name a folder of your own`);
    enableCompileCache(given);
    return;
  }
  const folder = ownCacheFolder();
  if (folder !== undefined) enableCompileCache(folder);
}

/** A folder that nobody else can write or read; undefined when there is none. A missing cache is no failure, so none is reported. */
export function ownCacheFolder(base?: string): string | undefined {
  try {
    const above = base ?? cacheBase();
    const folder = join(above, 'edgekeep', 'compile-cache');
    // One at a time: `recursive` never ends in /proc, and this runs before every verb.
    for (const each of [above, join(above, 'edgekeep'), folder])
      if (!existsSync(each)) mkdirSync(each, { mode: 0o700 });
    const { uid, mode } = statSync(folder);
    const isOwn = uid === process.getuid?.() && (mode & openToOthers) === 0;
    return isOwn && othersMayWrite(folder) === undefined ? folder : undefined;
  } catch {
    // No home, a read-only home, or a user without a name, as in containers: every file is compiled again, which is slower and safe.
    return undefined;
  }
}

// The home of the running user, from the system's own list: HOME can belong to another user, for example under sudo.
function cacheBase(): string {
  const given = process.env['XDG_CACHE_HOME'];
  return given !== undefined && isAbsolute(given) ? given : join(userInfo().homedir, '.cache');
}

/**
 * Makes the kernel write no core file of this process. The limit is one byte and not zero: Linux then writes nothing and starts no program
 * that collects core files either. Without `prlimit` nothing changes: `edgekeep doctor` and the hub report the limit.
 */
function forbidCoreFiles(): void {
  const prlimit = prlimitPaths.find((path) => existsSync(path));
  if (prlimit !== undefined)
    spawnSync(prlimit, ['--core=1', '--pid', String(process.pid)], { stdio: 'ignore', env: {} });
}

function refuse(why: string): never {
  process.stderr.write(`edgekeep: ${why}\n`);
  process.exit(usageExitCode);
}
