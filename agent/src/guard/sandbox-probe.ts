// Finds which walls work on this machine by running the guard behind them: all at once, and only if that fails one by one. Follows
// spec/guard.md section 6.
import { lstat, readdir, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentError } from '../error.ts';
import { GuardChannel } from './guard-channel.ts';
import type { SandboxedProgram } from './program.ts';
import { helperParts, sandboxParts, type Sandbox, type SandboxPart } from './sandbox.ts';
import { spawnGuard } from './spawned.ts';

/** The conventional user and group without rights ("nobody"). */
export const unprivilegedUserId = 65534;

/** Loading takes a fraction of a second on a server and ten seconds on a small busy board. */
const defaultMaxProbeMs = 60_000;

export interface ProbeOptions {
  readonly userId?: number;
  /** Walls to leave out, for tests and for machines where an operator must; they count as degraded. */
  readonly exclude?: readonly SandboxPart[];
  readonly maxProbeMs?: number | undefined;
}

/**
 * Throws `guard-start` when the guard does not even run without walls, or when it did not answer in time: a time-out says nothing about the
 * walls, so none is given up for it.
 */
export async function findSandbox(program: SandboxedProgram, options: ProbeOptions = {}): Promise<Sandbox> {
  const root = process.getuid?.() === 0;
  const { userId = unprivilegedUserId, maxProbeMs = defaultMaxProbeMs } = options;
  const wanted = sandboxParts.filter(
    (part) =>
      options.exclude?.includes(part) !== true &&
      (root || part !== 'own-user') &&
      (program.helper !== undefined || !helperParts.some((name) => name === part)),
  );
  const sandboxOf = (parts: readonly SandboxPart[]): Sandbox => ({
    parts: new Set(parts),
    degraded: sandboxParts.filter((part) => !parts.includes(part)),
    root,
    userId,
  });
  const everything = sandboxOf(wanted);
  if ((await probe(everything, program, maxProbeMs)) === undefined) return everything;
  const failure = await probe(sandboxOf([]), program, maxProbeMs);
  if (failure !== undefined) throw new AgentError('guard-start', `the guard does not run on this machine: ${failure}`);
  const working: SandboxPart[] = [];
  for (const part of wanted) {
    if ((await probe(sandboxOf([...working, part]), program, maxProbeMs)) === undefined) working.push(part);
  }
  return sandboxOf(working);
}

/** Undefined when the guard reported on its own channel that it runs, else what happened instead. */
async function probe(sandbox: Sandbox, program: SandboxedProgram, maxProbeMs: number): Promise<string | undefined> {
  const guard = spawnGuard({ program, sandbox }, [], undefined);
  const said = Promise.withResolvers<'loaded' | 'late' | 'other'>();
  const channel = new GuardChannel(guard.stream, {
    onReport: ({ kind }) => said.resolve(kind === 'loaded' ? 'loaded' : 'other'),
    onViolation: () => said.resolve('other'),
  });
  const timer = setTimeout(() => said.resolve('late'), maxProbeMs);
  const first = await Promise.race([said.promise, guard.ended.then(() => 'ended' as const)]);
  clearTimeout(timer);
  guard.kill();
  channel.close();
  const { errorText, startError, exitCode, signal } = await guard.ended;
  if (first === 'loaded') return undefined;
  if (first === 'late') {
    const limit = `${maxProbeMs / 1_000} s`;
    throw new AgentError('guard-start', `the guard did not answer within ${limit}: raise guard.maxProbeSeconds`);
  }
  return startError?.message ?? (errorText.trim() || `it ended with ${signal ?? exitCode} without a message`);
}

/** Removes the empty folders that earlier versions left when they were killed. Only its own, and only empty ones. */
export async function removeLeftFolders(folder = tmpdir()): Promise<void> {
  // Clean-up only: a folder that cannot be read stays, and does not prevent a guard from starting.
  const names = await readdir(folder).catch(() => []);
  const own = process.getuid?.();
  const left = names.filter((name) => /^edgekeep-guard-\w{6}$/.test(name)).map((name) => join(folder, name));
  await Promise.all(
    left.map(async (path) => {
      // As above.
      const found = await lstat(path).catch(() => undefined);
      // rmdir(2) takes no folder that holds anything.
      if (found?.isDirectory() === true && found.uid === own) await rmdir(path).catch(() => undefined);
    }),
  );
}
