// Translates paths that a person types to paths inside the model, as a signature writes them.
import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { UsageError } from '../command.ts';

/** The path of `file` below `root`, with "/"; undefined when it is elsewhere. `file` need not exist yet, but its folder must. */
async function pathInside(root: string, file: string): Promise<string | undefined> {
  const path = relative(await realpath(root), join(await realpath(dirname(file)), basename(file)));
  return path === '' || path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path)
    ? undefined
    : path.split(sep).join('/');
}

/** `--ignore-path` values, relative to the model, and the signature's own place in it. Warns of one that matches nothing: a misspelled path leaves nothing out. */
export async function ignoredPaths(
  root: string,
  asked: readonly string[],
  signature: string,
): Promise<readonly string[]> {
  const plain = asked.map((path) => {
    const parts = path.split('/').filter((part) => part !== '' && part !== '.');
    if (isAbsolute(path) || parts.length === 0 || parts.includes('..')) {
      throw new UsageError(`--ignore-path is relative to the model, without "..": ${path}`);
    }
    return parts.join('/');
  });
  for (const path of plain)
    if (!(await isThere(join(root, path))))
      process.stderr.write(`edgekeep: warning: --ignore-path ${path} matches nothing in ${root}\n`);
  const own = await pathInside(root, signature);
  return own === undefined ? plain : [...plain, own];
}

// A dangling link is there, and a single file has nothing below it.
async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
