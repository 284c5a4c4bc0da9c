// Translates paths that a person types to paths inside the model, as a signature writes them.
import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { UsageError } from '../command.ts';

/** The path of `file` below `root`, with "/"; undefined when it is elsewhere. `file` need not exist yet, but its folder must. */
async function pathInside(root: string, file: string): Promise<string | undefined> {
  const path = relative(await realpath(root), join(await realpath(dirname(file)), basename(file)));
  return path === '' || path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path)
    ? undefined
    : path.split(sep).join('/');
}

/** `--ignore-path` values, relative to the model, and the signature's own place in it. */
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
  const own = await pathInside(root, signature);
  return own === undefined ? plain : [...plain, own];
}
