// How a verb of the hub says that it failed.
import { messageOf } from '@edgekeep/core/message-of';
import { HostError } from '@edgekeep/host/error';
import { systemFailureText } from '@edgekeep/host/system-failure';
import { HubError } from '../common/error.ts';

// As every verb of the command line (docs/cli.md): for programs one document on standard output, and the same line on standard error.
export function reportError(error: unknown, json: boolean): void {
  const text = json ? JSON.stringify({ error: errorValue(error) }) : `edgekeep hub: ${described(error)}`;
  if (json) process.stdout.write(`${text}\n`);
  process.stderr.write(`${text}\n`);
}

function errorValue(error: unknown): { readonly code: string; readonly message: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'internal';
  return { code, message: systemFailureText(error) ?? messageOf(error) };
}

/** With its code; failures of the system are sentences after theirs. */
export function described(error: unknown): string {
  if (error instanceof HubError || error instanceof HostError) return `${error.code}: ${error.message}`;
  const sentence = systemFailureText(error);
  return sentence !== undefined && error instanceof Error && 'code' in error
    ? `${String(error.code)}: ${sentence}`
    : messageOf(error);
}

// A file named on the command line does not exist or cannot be used.
export function isFileError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^E(?!RR_)[A-Z0-9]+$/.test(String(error.code));
}
