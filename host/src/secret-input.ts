// Secrets that a person enters: a line from a file descriptor, or typed at the terminal without echo. Never an argument or an environment
// variable: other processes can read both.
import { openSync, read, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { promisify } from 'node:util';
import { HostError } from './error.ts';
import { withEscapes } from './printable.ts';

const readBytes = promisify(read);

/** Longer input is no passphrase. */
const SECRET_BYTES_MAX = 4_096;

/**
 * The first line, without its line end. The descriptor stays open, because it belongs to its owner. Throws `settings-invalid` for a
 * descriptor that cannot be read, or a line that is too long.
 */
export async function readSecretLine(descriptor: number): Promise<string> {
  const bytes = Buffer.alloc(SECRET_BYTES_MAX + 1);
  try {
    const length = await readLine(descriptor, bytes);
    if (length > SECRET_BYTES_MAX)
      throw new HostError('settings-invalid', `a line of more than ${SECRET_BYTES_MAX} bytes`);
    return bytes.toString('utf8', 0, length);
  } finally {
    bytes.fill(0);
  }
}

/** The length of the line; more than `SECRET_BYTES_MAX` when no line end came. */
async function readLine(descriptor: number, bytes: Buffer): Promise<number> {
  let length = 0;
  try {
    while (length < bytes.length) {
      const { bytesRead } = await readBytes(descriptor, bytes, length, bytes.length - length, null);
      if (bytesRead === 0) return length;
      const end = bytes.subarray(length, length + bytesRead).indexOf('\n');
      if (end !== -1) return length + end;
      length += bytesRead;
    }
  } catch (cause) {
    throw new HostError(
      'settings-invalid',
      `file descriptor ${descriptor} cannot be read: is it open? npx passes only 0, 1 and 2`,
      { cause },
    );
  }
  return length;
}

/** The typed text, or undefined where there is no terminal. Throws `aborted` when the person gives up (Ctrl-C, Ctrl-D). */
export async function askOnTerminal(question: string): Promise<string | undefined> {
  // The terminal itself, not standard input, which may be a pipe.
  const descriptor = openTerminal();
  if (descriptor === undefined) return undefined;
  const terminal = new ReadStream(descriptor);
  try {
    terminal.setRawMode(true);
    writeSync(descriptor, withEscapes(question));
    return await readTyped(terminal);
  } finally {
    writeSync(descriptor, '\n');
    terminal.setRawMode(false);
    terminal.destroy();
  }
}

function openTerminal(): number | undefined {
  try {
    return openSync('/dev/tty', 'r+');
  } catch {
    // There is no terminal for this process: the caller asks in another way, or reports that it cannot ask.
    return undefined;
  }
}

async function readTyped(terminal: ReadStream): Promise<string> {
  const typed: string[] = [];
  terminal.setEncoding('utf8');
  for await (const chunk of terminal) {
    for (const character of String(chunk)) {
      if (character === '\r' || character === '\n') return typed.join('');
      // Raw mode delivers these characters unprocessed: interrupt, end of input, erase.
      if (character === '\u0003' || character === '\u0004') throw new HostError('aborted', 'nothing was entered');
      if (character === '\u007f' || character === '\b') typed.pop();
      else if (typed.length < SECRET_BYTES_MAX) typed.push(character);
    }
  }
  throw new HostError('aborted', 'the terminal was closed');
}
