// Texts that are compared with one another: tags, attributes, values in filters, names that people give. Two texts that look the same are
// one (Unicode normal form C, one kind of space), and characters that hide part of a text are refused. docs/design/identities.md.

/** Spaces of other widths look like a space. */
const otherSpaces = /\p{Zs}/gu;
// Marks of direction, zero-width characters, tags, soft hyphens, byte order marks. The two joiners are part of words in Persian, Hindi and others.
const hidden = /(?![\u200c\u200d])[\p{Cf}\p{Zl}\p{Zp}]|\u034f|\u115f|\u1160|\u17b4|\u17b5|\u3164|\uffa0/u;
const controls = /\p{Cc}/u;
const controlsButLines = /[^\P{Cc}\t\n]/u;

/** Why a text cannot be compared; undefined for a valid one. `lines` allows tabs and line feeds. */
export function textProblem(text: string, { lines = false }: { readonly lines?: boolean } = {}): string | undefined {
  if (!text.isWellFormed()) return 'half of a surrogate pair, which is no character';
  const at = (lines ? controlsButLines : controls).exec(text) ?? hidden.exec(text);
  if (at === null) return undefined;
  const code = (at[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `the character U+${code}, which cannot be seen: control characters and marks of direction are refused`;
}

/** The canonical form of a text without a `textProblem`: normal form C, every space a plain one, none at its ends. */
export function canonicalText(text: string): string {
  return text.normalize('NFC').replaceAll(otherSpaces, ' ').trim();
}
