// How deep a JSON text nests, found without recursion: a few thousand brackets would otherwise exhaust the stack of whoever
// walks the value.
import { CoreError, type CoreErrorCode } from './error.ts';

/** Entries and receipts nest to five or six levels. */
export const nestingMax = 32;

const quote = 0x22;
const backslash = 0x5c;
const openers: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const closers: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/** Throws `code` when arrays and objects stand deeper inside one another than `nestingMax`. Says nothing else about the bytes. */
export function assertNesting(bytes: Uint8Array, what: string, code: CoreErrorCode): void {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (inString) {
      if (byte === backslash) at++;
      else if (byte === quote) inString = false;
    } else if (byte === quote) inString = true;
    else if (openers.has(byte)) depth++;
    else if (closers.has(byte)) depth--;
    if (depth > nestingMax) throw new CoreError(code, `${what}: nested deeper than ${nestingMax} levels`);
  }
}
