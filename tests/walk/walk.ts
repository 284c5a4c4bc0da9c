// Walks one page as a reader would who types every shell block, in the page's order, on a new machine.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { ending } from '../support/child.ts';
import { type Block, blocksOf, commandsOf, isTyped } from './pages.ts';

const here = import.meta.dirname;
const repository = join(here, '../..');

export interface Walked {
  readonly code: number | null;
  readonly output: string;
}

/** Blocks of a page with the language `sh`. */
export async function shellBlocks(page: string): Promise<readonly Block[]> {
  return blocksOf(await readFile(resolve(repository, page), 'utf8')).filter(({ language }) => isTyped(language));
}

/** Runs the blocks that are to be run, each line of each, and stops at the first that fails. */
export async function walk(page: string, blocks: readonly Block[]): Promise<Walked> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-walk-'));
  const script = join(folder, 'script');
  await writeFile(script, scriptOf(page, blocks));
  const child = spawn(
    'unshare',
    [
      ...(process.getuid?.() === 0 ? [] : ['--map-root-user']),
      '--mount',
      '--net',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'bash',
      join(here, 'machine.sh'),
      folder,
      script,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, WALK_NODE: process.execPath } },
  );
  try {
    await using _ = ending(child);
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await ended, output: `${output}${errors}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function scriptOf(page: string, blocks: readonly Block[]): string {
  const put = new Map<string, string>();
  const parts = blocks
    .filter(({ notRun }) => notRun === undefined)
    .map((block) => {
      for (const [name, command] of block.put) put.set(name, command);
      return [`at ${page}:${block.line}`, ...block.before, typed(commandsOf(block), put)].join('\n');
    });
  return ['set -Eeuo pipefail', '. "$WALK/reader.sh"', ...parts, ''].join('\n');
}

function typed(commands: string, put: ReadonlyMap<string, string>): string {
  return [...put].reduce(
    (words, [name, command]) =>
      words.replaceAll(new RegExp(`(?<![\\w$-])${name}(?![\\w-])`, 'gu'), () => `"$(${command})"`),
    commands,
  );
}
