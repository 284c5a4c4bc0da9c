// What a process does when nobody reads its output any more: the pipe to a log collector breaks (EPIPE), a terminal is gone (EIO), or the disk
// that standard output goes to is full. Node ends a process whose output fails and that does not look.
import { systemFailureText } from './system-failure.ts';

/** As the shell names the end by SIGPIPE: 128 and 13. */
const brokenPipeExitCode = 141;
/** As every verb of the command line has it (docs/cli.md). */
const machineExitCode = 6;

type Output = Pick<NodeJS.WriteStream, 'on'>;

/** A daemon goes on without its log: its work is not the log. */
export function outliveOutputs(outputs: readonly Output[] = [process.stdout, process.stderr]): void {
  // What cannot be written is lost, and the next line is tried again.
  for (const output of outputs) output.on('error', () => undefined);
}

/**
 * A verb ends without a word when its reader has read enough, as `head` does. Output that is lost for any other reason is a failure. Messages on
 * standard error are not worth the work that they are about.
 */
export function endWithOutput(stdout: Output = process.stdout, stderr: Output = process.stderr): void {
  // As above.
  stderr.on('error', () => undefined);
  stdout.on('error', (error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EPIPE') process.exit(brokenPipeExitCode);
    const why = systemFailureText(error) ?? (error instanceof Error ? error.message : 'it cannot be written');
    process.stderr.write(`edgekeep: the output is not complete: ${why}\n`);
    process.exit(machineExitCode);
  });
}
