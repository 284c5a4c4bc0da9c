// A guard as a child of the agent, behind the walls of its sandbox: it inherits files, listening sockets and the channel as descriptors.
import { spawn, type ChildProcess, type StdioPipe } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Duplex } from 'node:stream';
import type { SandboxedProgram } from './program.ts';
import { sandboxCommand, type Sandbox } from './sandbox.ts';

/** How a process ended; `errorText` is the end of what it wrote to stderr, `startError` says why it never ran. */
export interface GuardEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errorText: string;
  readonly startError: Error | undefined;
}

/** A running guard, however it was started. */
export interface RunningGuard {
  readonly stream: Duplex;
  readonly processId: number | undefined;
  /** Settles once; never rejects. */
  readonly ended: Promise<GuardEnd>;
  kill(): void;
}

export const channelDescriptor = 3;
const pipe: StdioPipe = 'pipe';
// The last lines explain a crash.
const ERROR_TEXT_MAX = 4_096;
/** Output that a process wrote before it ended arrives within this time. */
const LEFT_MS_MAX = 1_000;
/** A process that writes more than this to stderr explains nothing: the rest is not read. */
const ERROR_BYTES_MAX = 1024 * 1024;

/** `descriptors` are open files and sockets of the agent; the guard finds them behind the channel, in this order. */
export function spawnGuard(
  host: { readonly program: SandboxedProgram; readonly sandbox: Sandbox },
  descriptors: readonly number[],
  maxMemoryBytes: number | undefined,
): RunningGuard {
  const options = maxMemoryBytes === undefined ? {} : { maxMemoryBytes };
  const { command, args, environment } = sandboxCommand(host.sandbox, host.program, options);
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', pipe, pipe, ...descriptors],
    env: { ...environment },
    cwd: '/',
    // A separate session: a signal to the guard's whole process group reaches only the guard.
    detached: true,
  });
  const stream = child.stdio[channelDescriptor];
  if (!(stream instanceof Duplex)) throw new TypeError('the channel to the guard is not a stream');
  return {
    stream,
    get processId() {
      return guardProcessId(child, host.sandbox);
    },
    ended: watch(child),
    kill: () => killGroup(child),
  };
}

/** All processes that the command started: during the start there is more than one. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended on its own.
  }
}

async function watch(child: ChildProcess): Promise<GuardEnd> {
  let errorText = '';
  let errorBytes = 0;
  child.stderr
    ?.on('error', () => undefined)
    .on('data', (chunk: Buffer) => {
      errorText = (errorText + chunk.toString('utf8')).slice(-ERROR_TEXT_MAX);
      errorBytes += chunk.length;
      if (errorBytes > ERROR_BYTES_MAX) child.stderr?.destroy();
    });
  const { promise, resolve } = Promise.withResolvers<Omit<GuardEnd, 'errorText'>>();
  let startError: Error | undefined;
  child.on('error', (error) => {
    startError = error;
    // A process that never started has no exit status.
    if (child.pid === undefined) resolve({ exitCode: null, signal: null, startError });
  });
  child.on('exit', (exitCode, signal) => {
    const end = { exitCode, signal, startError };
    // A descendant that keeps our pipes open does not delay us: without a process namespace there can be one.
    const left = setTimeout(() => {
      killGroup(child);
      for (const stream of child.stdio) stream?.destroy();
      resolve(end);
    }, LEFT_MS_MAX);
    child.on('close', () => {
      clearTimeout(left);
      resolve(end);
    });
  });
  return asItWas({ ...(await promise), errorText });
}

// What `unshare` says when the guard inside was killed: it ends by the signal that ended its child, and SIGKILL is the one it cannot set up for itself.
const killedInside = /^unshare: sigprocmask unblock failed.*\n?/m;

/** The end of the guard, where `unshare` has one of its own. */
function asItWas(end: GuardEnd): GuardEnd {
  if (end.exitCode !== 1 || !killedInside.test(end.errorText)) return end;
  return { ...end, exitCode: null, signal: 'SIGKILL', errorText: end.errorText.replace(killedInside, '') };
}

/** With a process namespace the child is the program that waits outside it, and the guard is that program's child. */
function guardProcessId({ pid }: ChildProcess, { parts }: Sandbox): number | undefined {
  if (pid === undefined || !parts.has('process-namespace')) return pid;
  try {
    const first = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]);
    return Number.isSafeInteger(first) && first > 0 ? first : pid;
  } catch {
    // The process has ended, or /proc hides it: its own id is the only one.
    return pid;
  }
}
