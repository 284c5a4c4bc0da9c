// The command line as people and CI run it: a process of its own, its exit code, what it wrote.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { programFile } from '@edgekeep/cli/program';

const main = programFile('@edgekeep/cli/main');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function edgekeep(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const code = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, stdout, stderr };
}

/** Must succeed; gives what `--json` printed. */
export async function edgekeepJson(...args: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await edgekeep(...args, '--json');
  assert.equal(code, 0, `edgekeep ${args.join(' ')}: ${stderr}${stdout}`);
  return JSON.parse(stdout);
}
