// Runs a program of the machine in a folder until it ends.
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { ending } from './child.ts';

/** `out` is of both streams. Rejects where there is no such program. */
export async function runProgram(
  folder: string,
  program: string,
  ...args: readonly string[]
): Promise<{ readonly status: number; readonly out: string }> {
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  await using _ = ending(child);
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve(code ?? -1));
  });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await ended, out: out + err };
}
