// A program as an unlocker, spec/platform-secrets.md: the hub runs the program that its settings name and reads 32 bytes from its standard
// output. The program decides where it gets them (a TPM, a PKCS#11 token, a key service); the secret is in no argument, environment or
// file.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { othersMayWrite } from '@edgekeep/host/trusted-path';
import { HubError } from '../common/error.ts';
import { storePasswordVariable } from '@edgekeep/core/canonical/store-url';

const secretLength = 32;
/** Long enough to type a PIN. */
const answerMilliseconds = 120_000;

/** 32 bytes, which the caller zeroes. `command` is the program's absolute path and its arguments. Throws `unlock-refused`. */
export async function secretFromProgram(command: readonly string[]): Promise<Uint8Array> {
  const [program, ...args] = command;
  if (program === undefined || !isAbsolute(program)) {
    throw new HubError('settings-invalid', 'unlockProgram names a program by its absolute path, and its arguments');
  }
  // spawn reports a name that does not exist.
  const why = existsSync(program) ? othersMayWrite(program) : undefined;
  if (why !== undefined) throw new HubError('unlock-refused', `unlockProgram is not run: ${why}`);
  // The program gets our standard input and error, so that it can ask for a PIN and report failures.
  const { [storePasswordVariable]: _, ...env } = process.env;
  const child = spawn(program, args, { stdio: ['inherit', 'pipe', 'inherit'], env });
  // Not spawn's own timeout: it would hold the process for its whole length when the program does not even start.
  const timer = setTimeout(() => child.kill('SIGKILL'), answerMilliseconds);
  const secret = new Uint8Array(secretLength);
  let received = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    secret.set(chunk.subarray(0, Math.max(0, secretLength - received)), Math.min(received, secretLength));
    received += chunk.length;
    chunk.fill(0);
    if (received > secretLength) child.kill('SIGKILL');
  });
  const end = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code === 0 ? undefined : `it ended with ${code ?? signal}`));
  });
  clearTimeout(timer);
  if (end === undefined && received === secretLength) return secret;
  secret.fill(0);
  const length = received > secretLength ? 'more than 32' : String(received);
  throw new HubError('unlock-refused', `${program}: ${end ?? `expected 32 bytes, it printed ${length}`}`);
}
