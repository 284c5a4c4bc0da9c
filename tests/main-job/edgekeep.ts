// The command line as people and CI run it: a separate process, its exit code, its output.
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { findProgram } from '@edgekeep/cli/program';
import type { ZodType } from 'zod';
import { ending } from '../support/child.ts';

const main = findProgram('@edgekeep/cli/main').file;

/** Words of a command line, alone or in groups. */
export type Words = string | readonly string[];

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function startEdgekeep(...words: readonly Words[]): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [main, ...words.flat()], { stdio: ['ignore', 'pipe', 'pipe'] });
}

export async function edgekeep(...words: readonly Words[]): Promise<Ended> {
  const child = startEdgekeep(...words);
  await using _ = ending(child);
  const code = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, stdout, stderr };
}

/** Must succeed; returns what `--json` printed. */
export async function edgekeepJson<T>(schema: ZodType<T>, ...words: readonly Words[]): Promise<T> {
  const { code, stdout, stderr } = await edgekeep(...words, '--json');
  assert.equal(code, 0, `edgekeep ${words.flat().join(' ')}: ${stderr}${stdout}`);
  return schema.parse(JSON.parse(stdout));
}
