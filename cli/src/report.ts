// How a verb that failed says so: its exit code, by one table for all verbs (docs/errors.md), and one message for people or programs.
import { messageOf } from '@edgekeep/core/message-of';
import { isMachineFailure, systemFailureText } from '@edgekeep/host/system-failure';
import { type ExitCode, exitCodes, UsageError } from './command.ts';
import { usageText } from './help.ts';
import { exitCodeOfRefusal, HubRefusal, Unreachable } from './refusal.ts';

interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Of this process, or what a test reads. */
export interface Streams {
  readonly stdout: Output;
  readonly stderr: Output;
}

interface Manner {
  readonly json: boolean;
  /** Standard output has the bytes of a verb. */
  readonly stdoutTaken: boolean;
  readonly streams: Streams;
}

/** Writes the message; returns the exit code. */
export function report(error: unknown, usage: string, { json, stdoutTaken, streams }: Manner): ExitCode {
  const message = systemFailureText(error) ?? messageOf(error);
  const code = codeOf(error);
  const exitCode = exitCodeOf(error);
  if (json) {
    const shown = code ?? (error instanceof UsageError ? 'usage' : 'internal');
    writeError({ code: shown, message }, { stdoutTaken, streams });
  } else if (error instanceof UsageError) streams.stderr.write(`edgekeep: ${message}\n${usageText(usage)}\n`);
  else streams.stderr.write(`edgekeep: ${named(code, message)}\n`);
  if (exitCode === exitCodes.internal && error instanceof Error) streams.stderr.write(`${error.stack}\n`);
  return exitCode;
}

/**
 * For programs: standard output is always one document. Standard error has it too, for programs that read it there; a person at a terminal reads
 * it once.
 */
export function writeError(
  error: { readonly code: string; readonly message: string },
  { stdoutTaken = false, streams }: { readonly stdoutTaken?: boolean; readonly streams: Streams },
): void {
  const text = `${JSON.stringify({ error })}\n`;
  if (!stdoutTaken) streams.stdout.write(text);
  if (stdoutTaken || streams.stdout.isTTY !== true || streams.stderr.isTTY !== true) streams.stderr.write(text);
}

/** Every package's error class carries a stable `code`; system errors carry one too (ENOENT, ECONNREFUSED). */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

const interceptedCodes: ReadonlySet<string> = new Set(['tls-intercepted', 'captive-portal']);

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return exitCodes.usage;
  if (error instanceof HubRefusal) return exitCodeOfRefusal(error);
  if (isMachineFailure(error)) return exitCodes.machine;
  const code = codeOf(error);
  if (code === undefined) return exitCodes.internal;
  if (error instanceof Unreachable && interceptedCodes.has(error.code)) return exitCodes.intercepted;
  if (/^E(CONN|HOST|NET|TIMEDOUT|PIPE|AI_)/.test(code) || error instanceof Unreachable) return exitCodes.unreachable;
  return exitCodes.input;
}

// Messages of the operating system already begin with their code.
function named(code: string | undefined, message: string): string {
  return code === undefined || message.startsWith(`${code}: `) ? message : `${code}: ${message}`;
}
