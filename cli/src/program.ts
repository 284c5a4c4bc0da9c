// Runs another program of this product as a separate process: the command line never imports the hub, the agent or the guard.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { exitCodes, type Outcome } from './command.ts';

/** For every process of ours that may hold keys or plaintext: SIGUSR1 opens no debugger in it, from its first instruction on. */
export const keyProcessOptions = ['--disable-sigusr1'] as const;

/**
 * For the hub: a smaller young generation than V8 would take. Resident memory grows by the garbage of the hardest hour and stays there
 * (docs/performance.md, "Memory of the hub under attack").
 */
export const hubNodeOptions = ['--max-semi-space-size=8'] as const;

/** The file behind a package's export, for example `@edgekeep/hub/main`. */
export function programFile(name: string): string {
  return fileURLToPath(import.meta.resolve(name));
}

// The number of descriptors that a shell can pass by number; more is a mistake.
const DESCRIPTOR_MAX = 255;

/**
 * Runs it in the foreground with our terminal; signals reach it because it is in our process group. `descriptors` are open files of ours,
 * which it gets under the same numbers.
 */
export async function runProgram(
  name: string,
  args: readonly string[],
  nodeOptions: readonly string[] = [],
  descriptors: readonly number[] = [],
): Promise<Outcome> {
  const last = Math.max(2, ...descriptors.filter((each) => Number.isInteger(each) && each <= DESCRIPTOR_MAX));
  const stdio = Array.from({ length: last + 1 }, (_, at) => (at <= 2 || descriptors.includes(at) ? at : 'ignore'));
  const child = spawn(process.execPath, [...keyProcessOptions, ...nodeOptions, programFile(name), ...args], {
    stdio: [...stdio, 'ipc'],
  });
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  process.on('SIGINT', forward).on('SIGTERM', forward);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, signal) => resolve(status ?? (signal === null ? exitCodes.internal : exitCodes.ok)));
  });
  process.off('SIGINT', forward).off('SIGTERM', forward);
  return { exitCode: code, value: undefined, text: '', stdoutTaken: true };
}
