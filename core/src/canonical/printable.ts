// Text of others in one line of printable ASCII: names in certificates, event logs and documents may be any text of any length, and what is
// logged, signed and shown must not forge a line of a log or a screen. Programs write escapes at a terminal (host/src/printable.ts); here
// the text itself changes, because it is kept.

/** The longest name that is kept. */
const NAME_CHARACTERS_MAX = 300;

/** Each other character as a question mark, and at most `maxLength` characters. */
export function printable(text: string, maxLength = NAME_CHARACTERS_MAX): string {
  return text.slice(0, maxLength).replaceAll(/[^\x20-\x7e]/g, '?');
}

/** Cut to a length, and never in the middle of a character: what is signed and logged takes no half of one. */
export function cutText(text: string, maxLength: number): string {
  return text.slice(0, maxLength).toWellFormed();
}

/** Also without what ends a quotation or begins an element of HTML. */
export function printableInQuotes(text: string, maxLength: number): string {
  return printable(text, maxLength).replaceAll(/["'\\<>&]/g, '?');
}
