// The PIN of a secret that the hub's TPM keeps: from a file or typed, never an argument. The TPM gets a value that is derived from it, and counts
// wrong ones.
import { randomBytes, scryptSync } from 'node:crypto';
import { askOnTerminal } from '@edgekeep/host/secret-input';
import { readSecretFile } from '../bounded-file.ts';
import { type Arguments, UsageError } from '../command.ts';

export const pinOptions = { pin: { type: 'boolean' }, 'pin-file': { type: 'string' } } as const;

const PIN_CHARACTERS_MIN = 4;
const PIN_BYTES_MAX = 256;
const saltLength = 16;
const authValueLength = 32;

export interface NewPin {
  readonly salt: Uint8Array;
  /** What the TPM compares. The caller zeroes it. */
  readonly authValue: Uint8Array;
}

/** The PIN for a new secret; undefined where none is wanted. */
export async function newPin(args: Arguments): Promise<NewPin | undefined> {
  const file = args.option('pin-file');
  if (file === undefined && !args.flag('pin')) return undefined;
  const pin = file === undefined ? await askTwice() : await pinIn(file);
  if (pin.length < PIN_CHARACTERS_MIN)
    throw new UsageError(`a PIN of at least ${PIN_CHARACTERS_MIN} characters is needed`);
  const salt = randomBytes(saltLength);
  return { salt, authValue: authValueOf(pin, salt) };
}

/** The value for the PIN of a secret that was sealed with one. */
export async function knownPin(args: Arguments, salt: Uint8Array): Promise<Uint8Array> {
  const file = args.option('pin-file');
  const pin = file === undefined ? await askOnTerminal("PIN of the hub's secret: ") : await pinIn(file);
  if (pin === undefined) throw new UsageError('this secret needs a PIN: give --pin-file PATH, or use a terminal');
  return authValueOf(pin, salt);
}

async function askTwice(): Promise<string> {
  const pin = await askOnTerminal('New PIN: ');
  if (pin === undefined) throw new UsageError('give --pin-file PATH, or use a terminal');
  if ((await askOnTerminal('Once more: ')) !== pin) throw new UsageError('the two PINs differ: nothing was sealed');
  return pin;
}

async function pinIn(file: string): Promise<string> {
  const bytes = await readSecretFile(file, PIN_BYTES_MAX);
  try {
    return Buffer.from(bytes)
      .toString('utf8')
      .replace(/\r?\n$/, '');
  } finally {
    bytes.fill(0);
  }
}

// The TPM limits guesses; this makes them slow also for somebody who could read the TPM's own memory.
function authValueOf(pin: string, salt: Uint8Array): Uint8Array {
  return scryptSync(pin.normalize('NFKC'), salt, authValueLength, { N: 32_768, r: 8, p: 1, maxmem: 67_108_864 });
}
