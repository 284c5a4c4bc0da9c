// Runs another program of this product as a separate process: the command line never imports the hub, the agent or the guard.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HostError } from '@edgekeep/host/error';
import { exitCodes, type Outcome } from './command.ts';

/** For every process of ours that may hold keys or plaintext: SIGUSR1 opens no debugger in it, from its first instruction on. */
export const keyProcessOptions = ['--disable-sigusr1'] as const;

/**
 * For the hub (docs/performance.md, "Memory of the hub under attack"). Resident memory grows by the garbage of the hardest hour and stays there,
 * so the young generation is smaller than V8 would take. A hub makes little lasting garbage, so V8 would collect all of its heap at each growth by a
 * tenth, every two seconds under attack: at its double it is enough. One thread helps with that instead of four: on a machine with few
 * processors they take them from the event loop.
 */
export const hubNodeOptions = ['--max-semi-space-size=8', '--heap-growing-percent=100', '--v8-pool-size=1'] as const;

/** A device has little memory and the agent little garbage: a small young generation saves about 9 MB of resident memory. */
export const agentNodeOptions = ['--max-semi-space-size=1'] as const;

/** A program of this product and the Node that runs it. */
export interface Program {
  readonly node: string;
  readonly file: string;
}

const here = fileURLToPath(new URL('../..', import.meta.url));
/** The packages of hub and agent are beside each other (docs/install.md). */
const treeNames = ['agent', 'hub'] as const;

/**
 * Where the program behind a package's export is, for example `@edgekeep/hub/main`: in this tree, a checkout or an installed package, or in the
 * tree of the other package, which has a Node of its own. Throws `program-missing`.
 */
export function findProgram(name: string, tree = here): Program {
  const [, part = '', ...path] = name.split('/');
  const file = path.join('/');
  const source = join(tree, part, 'src', `${file}.ts`);
  if (existsSync(source)) return { node: process.execPath, file: source };
  const bundle = (root: string) => join(root, part, 'src', `${file}.js`);
  if (existsSync(bundle(tree))) return { node: process.execPath, file: bundle(tree) };
  const beside = treeNames.map((each) => join(tree, '..', each)).find((root) => existsSync(bundle(root)));
  if (beside !== undefined) return { node: join(beside, 'bin/node'), file: bundle(beside) };
  throw new HostError(
    'program-missing',
    `${part} is not installed here: it is in the package ${part === 'hub' ? 'edgekeep-hub' : 'edgekeep-agent'} (docs/install.md)`,
  );
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
  const { node, file } = findProgram(name);
  const child = spawn(node, [...keyProcessOptions, ...nodeOptions, file, ...args], {
    stdio: [...stdio, 'ipc'],
  });
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  process.on('SIGINT', forward).on('SIGTERM', forward);
  const ended = await new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, signal) => resolve(status ?? signal ?? exitCodes.internal));
  });
  process.off('SIGINT', forward).off('SIGTERM', forward);
  const exitCode = typeof ended === 'number' ? ended : endedBy(ended);
  return { exitCode, value: undefined, text: '', stdoutTaken: true };
}

/** A program that a signal ended did not do its work. A shell sees the signals of people as if we had got them; others have a code and a line. */
function endedBy(signal: NodeJS.Signals): number {
  if (signal === 'SIGINT' || signal === 'SIGTERM' || signal === 'SIGHUP') process.kill(process.pid, signal);
  else
    process.stderr.write(
      `edgekeep: the program was ended by ${signal}; \`journalctl -k\` says whether memory was short\n`,
    );
  return exitCodes.internal;
}
