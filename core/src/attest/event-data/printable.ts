// Text of an event log for people: the writer of the log chooses the bytes, so everything that a terminal, a log or HTML could take for its
// own is replaced, and length is limited.
import { toHex } from '../../bytes.ts';
import { printableInQuotes } from '../../canonical/printable.ts';

/** Enough to recognise an event in one line of a report. */
const DESCRIPTION_LENGTH_MAX = 80;

/** One line of printable ASCII without quotes, backslashes and angle brackets, at most 80 characters. */
export function printableLine(text: string): string {
  if (text.length <= DESCRIPTION_LENGTH_MAX) return printableInQuotes(text, DESCRIPTION_LENGTH_MAX);
  return `${printableInQuotes(text, DESCRIPTION_LENGTH_MAX - 3)}...`;
}

/** Bytes that are printable ASCII, or UTF-16LE of it, as text; undefined for others. */
export function textOf(bytes: Uint8Array): string | undefined {
  const wide = bytes.length >= 4 && bytes.length % 2 === 0 && bytes[1] === 0 && bytes[3] === 0;
  return wide ? wideText(bytes) : asPrintable(Buffer.from(bytes.subarray(0, 4 * DESCRIPTION_LENGTH_MAX)), 'latin1');
}

/** UTF-16LE as UEFI writes it, up to its terminator. */
export function wideText(bytes: Uint8Array): string | undefined {
  return asPrintable(Buffer.from(bytes.subarray(0, 8 * DESCRIPTION_LENGTH_MAX)), 'utf16le');
}

function asPrintable(bytes: Buffer, encoding: 'utf16le' | 'latin1'): string | undefined {
  const text = bytes.toString(encoding).replace(/\0+$/, '');
  return /^[\x20-\x7e]+$/.test(text) ? text : undefined;
}

export function hexOf(bytes: Uint8Array): string {
  return bytes.length === 0 ? '' : `0x${toHex(bytes.subarray(0, DESCRIPTION_LENGTH_MAX))}`;
}

/** A GUID in the form in which UEFI stores it: the first three fields are little-endian. */
export function guidText(bytes: Uint8Array): string {
  const field = (start: number, end: number) => toHex(bytes.subarray(start, end));
  const turned = (start: number, end: number) => toHex(bytes.subarray(start, end).toReversed());
  return `${turned(0, 4)}-${turned(4, 6)}-${turned(6, 8)}-${field(8, 10)}-${field(10, 16)}`;
}
