// The nesting depth of a JSON text, found without recursion: otherwise a few thousand brackets would exhaust the stack of a program that
// walks the value.
import type { CoreErrorCode } from './error.ts';
import { JsonBounds } from './json-bounds.ts';

/** Entries and receipts nest to five or six levels. */
export const NESTING_MAX = 32;

/**
 * Throws `code` when arrays and objects stand deeper inside one another than `NESTING_MAX`. Says nothing else about the bytes; gives how many members
 * their objects have.
 */
export function assertNesting(bytes: Uint8Array, what: string, code: CoreErrorCode): number {
  const bounds = new JsonBounds({ depth: NESTING_MAX, values: Number.POSITIVE_INFINITY }, what, code);
  bounds.push(bytes);
  return bounds.members;
}
