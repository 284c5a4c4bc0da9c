// A secret typed at the terminal, without echo. The terminal itself is asked, not standard input, which may be a pipe.
import { openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { HubError } from '../error.ts';

/** Longer input is not typed by hand. */
const charactersMost = 4_096;

/** What was typed, or undefined where there is no terminal. Throws `unlock-refused` when the person gives up (Ctrl-C, Ctrl-D). */
export async function askOnTerminal(question: string): Promise<string | undefined> {
  const descriptor = openTerminal();
  if (descriptor === undefined) return undefined;
  const terminal = new ReadStream(descriptor);
  try {
    terminal.setRawMode(true);
    writeSync(descriptor, question);
    return await readLine(terminal);
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
    return undefined;
  }
}

async function readLine(terminal: ReadStream): Promise<string> {
  const typed: string[] = [];
  terminal.setEncoding('utf8');
  for await (const chunk of terminal) {
    for (const character of String(chunk)) {
      if (character === '\r' || character === '\n') return typed.join('');
      // Raw mode hands these over as they are: interrupt, end of input, erase.
      if (character === '\u0003' || character === '\u0004') throw new HubError('unlock-refused', 'nothing was entered');
      if (character === '\u007f' || character === '\b') typed.pop();
      else if (typed.length < charactersMost) typed.push(character);
    }
  }
  throw new HubError('unlock-refused', 'the terminal was closed');
}
