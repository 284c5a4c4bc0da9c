// A verb of the command line: its words, its options, and a function from arguments to an outcome.
import type { ParseArgsOptionsConfig } from 'node:util';

/** Exit codes, the same for every verb (docs/cli.md). */
export const exitCodes = {
  ok: 0,
  refused: 1,
  usage: 2,
  input: 3,
  unreachable: 4,
  internal: 5,
  machine: 6,
  intercepted: 7,
} as const;

/** The same table in one line, for the help of each verb. */
export const exitCodesHelp =
  'exit codes: 0 done or verified, 1 refused or not verified, 2 wrong usage, 3 invalid input or unknown name, 4 hub unreachable, 5 internal, 6 disk full, port or folder in use, or no TPM or token, 7 somebody between this machine and the hub ends TLS';

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface Arguments {
  readonly positionals: readonly string[];
  /** The words after `--`, for verbs that run another program. */
  readonly rest: readonly string[];
  /** The one value of a string option; a repeated option gives its last value. */
  option(name: string): string | undefined;
  /** As `option`; a usage error when it is missing. */
  required(name: string): string;
  /** All values of an option declared with `multiple: true`. */
  all(name: string): readonly string[];
  flag(name: string): boolean;
}

/**
 * The outcome of a verb: `text` for people, `value` for `--json`. A verb that writes its own bytes to stdout declares that, and the report
 * goes to stderr.
 */
export interface Outcome {
  /** One of `exitCodes`; a verb that runs another program passes that program's code on. */
  readonly exitCode: number;
  readonly value: unknown;
  readonly text: string;
  readonly stdoutTaken?: boolean;
}

export interface Command {
  /** The usage line after `edgekeep`, for example `floe encrypt IN OUT --key-file RAW32`. */
  readonly usage: string;
  /** Longer help: the meaning of each option, its default and unit. */
  readonly help: string;
  readonly positionals: { readonly min: number; readonly max: number };
  readonly options: ParseArgsOptionsConfig;
  /** Standard output has the bytes of this verb, or of a program that it runs: no report and no error is written there. */
  readonly bytesOnStdout?: true;
  run(args: Arguments): Promise<Outcome>;
}

/** Invalid words on the command line: exit code 2, with the usage line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
