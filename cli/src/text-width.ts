// How many columns a terminal gives to a text, and lines that fit into some: CJK and emoji take two columns, combining characters none.
import { eastAsianWidth } from 'get-east-asian-width';

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const oneColumnEach = /^[\u0020-\u007e]*$/;
const emoji = /^\p{RGI_Emoji}$/v;
const takesNone = /^[\p{M}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]+/u;

/** In columns. */
export function textWidth(text: string): number {
  if (oneColumnEach.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

function graphemeWidth(grapheme: string): number {
  if (emoji.test(grapheme)) return 2;
  const base = grapheme.replace(takesNone, '').codePointAt(0);
  return base === undefined ? 0 : eastAsianWidth(base);
}

/** `text` with spaces behind it, `width` columns wide. */
export function padded(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

/** What a line can end behind: a word, or one wide character of a text without spaces. */
interface Piece {
  readonly text: string;
  readonly width: number;
  /** 1 where a space is before it. */
  readonly gap: 0 | 1;
}

/** Lines of at most `width` columns. A longer word (an id, a digest, a path) is never cut: it has a line of its own. */
export function wrapText(text: string, width: number): readonly string[] {
  if (textWidth(text) <= width) return [text];
  const lines: string[] = [];
  let line = '';
  let used = 0;
  for (const piece of piecesOf(text)) {
    if (line !== '' && used + piece.gap + piece.width > width) {
      lines.push(line);
      line = '';
      used = 0;
    }
    const gap = line === '' ? 0 : piece.gap;
    line += ' '.repeat(gap) + piece.text;
    used += gap + piece.width;
  }
  return [...lines, line];
}

/** The widest part of a text that stays on one line. */
export function widestPiece(text: string): number {
  return Math.max(0, ...piecesOf(text).map(({ width }) => width));
}

function piecesOf(text: string): readonly Piece[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .flatMap(piecesOfWord);
}

function piecesOfWord(word: string): readonly Piece[] {
  if (oneColumnEach.test(word)) return [{ text: word, width: word.length, gap: 1 }];
  const pieces: Piece[] = [];
  let breaks = true;
  for (const { segment } of graphemes.segment(word)) {
    const width = graphemeWidth(segment);
    const last = pieces.at(-1);
    if (last === undefined || breaks || width === 2)
      pieces.push({ text: segment, width, gap: last === undefined ? 1 : 0 });
    else pieces[pieces.length - 1] = { ...last, text: last.text + segment, width: last.width + width };
    breaks = width === 2;
  }
  return pieces;
}
