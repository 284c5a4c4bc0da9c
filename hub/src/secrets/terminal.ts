// Secrets that a person gives (host/src/secret-input.ts), with the hub's own errors: without input, nothing is unlocked.
import { HostError } from '@edgekeep/host/error';
import * as input from '@edgekeep/host/secret-input';
import { HubError } from '../common/error.ts';

/** The typed text, or undefined where there is no terminal. Throws `unlock-refused` when the person gives up. */
export async function askOnTerminal(question: string): Promise<string | undefined> {
  return orRefused(input.askOnTerminal(question));
}

/** The first line, without its end. Throws `unlock-refused`. */
export async function readSecretLine(descriptor: number): Promise<string> {
  return orRefused(input.readSecretLine(descriptor));
}

async function orRefused<T>(given: Promise<T>): Promise<T> {
  try {
    return await given;
  } catch (cause) {
    if (!(cause instanceof HostError)) throw cause;
    throw new HubError('unlock-refused', cause.message, { cause });
  }
}
