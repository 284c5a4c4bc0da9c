// Finds which walls work on this machine by running the guard behind them: all at once, and only if that fails one by one.
// Follows spec/guard.md section 6.
import { execFile } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentError } from '../error.ts';
import type { SandboxedProgram } from './program.ts';
import { sandboxCommand, sandboxParts, type Sandbox, type SandboxPart } from './sandbox.ts';

/** The conventional user and group without rights ("nobody"). */
export const unprivilegedUserId = 65534;

// What the guard says when it was started without a channel: it has loaded all its code by then, and so proven that it can.
const notAChild = 'edgekeep guard: ';
/** Loading takes a fraction of a second; a slow board may need some. */
const probeMsMax = 20_000;

/**
 * Throws `guard-start` when the guard does not even run without walls. `exclude` leaves parts out, for tests and for machines
 * where an operator must; they count as degraded.
 */
export async function findSandbox(
  program: SandboxedProgram,
  options: { readonly userId?: number; readonly exclude?: readonly SandboxPart[] } = {},
): Promise<Sandbox> {
  const root = process.getuid?.() === 0;
  const userId = options.userId ?? unprivilegedUserId;
  const wanted = sandboxParts.filter(
    (part) => options.exclude?.includes(part) !== true && (root || part !== 'unprivileged-user'),
  );
  const sandboxOf = (parts: readonly SandboxPart[]): Sandbox => ({
    parts: new Set(parts),
    degraded: sandboxParts.filter((part) => !parts.includes(part)),
    root,
    userId,
  });
  const everything = sandboxOf(wanted);
  if ((await probe(everything, program)) === undefined) return everything;
  const failure = await probe(sandboxOf([]), program);
  if (failure !== undefined) throw new AgentError('guard-start', `the guard does not run on this machine: ${failure}`);
  const working: SandboxPart[] = [];
  for (const part of wanted) {
    if ((await probe(sandboxOf([...working, part]), program)) === undefined) working.push(part);
  }
  return sandboxOf(working);
}

/** Undefined when the guard ran, else what was said instead. */
async function probe(sandbox: Sandbox, program: SandboxedProgram): Promise<string | undefined> {
  return withRootFolder(async (folder) => {
    const { command, args, environment } = sandboxCommand(sandbox, program, folder);
    return new Promise((resolve) => {
      const options = { env: { ...environment }, cwd: '/', timeout: probeMsMax, killSignal: 'SIGKILL' } as const;
      execFile(command, args, options, (error, _stdout, stderr) => {
        resolve(stderr.startsWith(notAChild) ? undefined : stderr.trim() || (error?.message ?? 'it said nothing'));
      });
    });
  });
}

/** Calls `use` with an empty folder that a sandbox can mount its file system on. Nothing is ever written into it from here. */
export async function withRootFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-guard-'));
  try {
    return await use(folder);
  } finally {
    await rmdir(folder);
  }
}
