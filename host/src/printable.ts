// Text that reaches a terminal does what it says and nothing else: characters that move the cursor, recolor, reorder or hide text are
// written as escapes. Names of devices and models, reasons and addresses come from outside, and a list shows them next to the program's own
// words. One place for a whole process: a text that is written to standard output or error passes here; bytes are files and pass as they are.

// Controls but tab and line feed, marks of direction, zero width, line separators, tags: what nobody sees (core/src/canonical/text.ts).
// The two joiners are part of words in Persian, Hindi and others.
const unprintable =
  /[^\P{Cc}\t\n]|(?![\u200c\u200d])[\p{Cf}\p{Zl}\p{Zp}]|\p{Cs}|\u034f|\u115f|\u1160|\u17b4|\u17b5|\u3164|\uffa0/gu;

/** In a form that JSON reads as the same text. */
export function withEscapes(text: string): string {
  return text.replaceAll(unprintable, escaped);
}

/** For a cell of a list: tabs and line feeds would forge cells and lines. */
export function printableCell(text: string): string {
  return withEscapes(text).replaceAll(/[\t\n]/g, escaped);
}

function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

type Output = Pick<NodeJS.WriteStream, 'write'>;

/** From now on each text that is written to these is printable. Bytes are not changed: a program's own control sequences are bytes. */
export function printOnly(outputs: readonly Output[]): void {
  for (const output of outputs) {
    const write: (chunk: string | Uint8Array, ...rest: readonly never[]) => boolean = output.write.bind(output);
    output.write = (chunk: string | Uint8Array, ...rest: readonly never[]) =>
      write(typeof chunk === 'string' ? withEscapes(chunk) : chunk, ...rest);
  }
}
