// The texts of a source file that people read: its comments and its string literals, without a parser of the language.

export interface SourceText {
  readonly kind: 'comment' | 'string';
  /** From 1. */
  readonly line: number;
  /** Offsets in the source, with the delimiters. */
  readonly start: number;
  readonly end: number;
  /** Without delimiters; `${…}` of a template becomes `…`. */
  readonly text: string;
}

interface Cursor {
  readonly source: string;
  at: number;
  readonly found: SourceText[];
  /** The last character of code, and the last word: they tell a regular expression from a division. */
  last: string;
  word: string;
}

const beforeExpression = /^(?:return|typeof|case|in|of|do|else|void|yield|await)$/;

/** TypeScript, JavaScript and C: in C a quote opens a character, and there are no templates. */
export function sourceTexts(source: string): readonly SourceText[] {
  const cursor: Cursor = { source, at: 0, found: [], last: '', word: '' };
  while (cursor.at < source.length) scanCode(cursor, false);
  return cursor.found;
}

/** Reads code to its end, or to the brace that closes a template's expression. */
function scanCode(cursor: Cursor, inTemplate: boolean): void {
  const { source } = cursor;
  let depth = 0;
  while (cursor.at < source.length) {
    const char = source[cursor.at] ?? '';
    const next = source[cursor.at + 1];
    if (char === '/' && next === '/') scanComment(cursor, '\n', 0);
    else if (char === '/' && next === '*') scanComment(cursor, '*/', 2);
    else if (char === "'" || char === '"') scanQuoted(cursor, char);
    else if (char === '`') scanTemplate(cursor);
    else if (char === '/' && startsExpression(cursor)) scanRegularExpression(cursor);
    else {
      if (char === '{') depth += 1;
      if (char === '}') {
        depth -= 1;
        if (inTemplate && depth < 0) return;
      }
      pass(cursor, char);
    }
  }
}

function pass(cursor: Cursor, char: string): void {
  cursor.at += 1;
  if (/\s/.test(char)) return;
  const isWord = /[\w$]/.test(char);
  const continues = isWord && /[\w$]/.test(cursor.source[cursor.at - 2] ?? '');
  cursor.word = isWord ? (continues ? cursor.word : '') + char : '';
  cursor.last = char;
}

const startsExpression = ({ last, word }: Cursor) =>
  word === '' ? last === '' || !/[)\]}'"`]/.test(last) : beforeExpression.test(word);

function add(cursor: Cursor, kind: SourceText['kind'], start: number, text: string): void {
  const line = cursor.source.slice(0, start).split('\n').length;
  cursor.found.push({ kind, line, start, end: cursor.at, text });
  if (kind === 'string') [cursor.last, cursor.word] = ['"', ''];
}

function scanComment(cursor: Cursor, closing: string, closingLength: number): void {
  const start = cursor.at;
  const found = cursor.source.indexOf(closing, start + 2);
  cursor.at = found === -1 ? cursor.source.length : found + closingLength;
  const body = cursor.source.slice(start + 2, found === -1 ? undefined : found);
  add(cursor, 'comment', start, closingLength === 0 ? body.trim() : body.replaceAll(/^\s*\*+ ?/gm, '').trim());
}

function scanQuoted(cursor: Cursor, quote: string): void {
  const start = cursor.at;
  cursor.at += 1;
  while (cursor.at < cursor.source.length && cursor.source[cursor.at] !== quote)
    cursor.at += cursor.source[cursor.at] === '\\' ? 2 : 1;
  cursor.at += 1;
  add(cursor, 'string', start, cursor.source.slice(start + 1, cursor.at - 1));
}

function scanTemplate(cursor: Cursor): void {
  const { source } = cursor;
  const start = cursor.at;
  let text = '';
  cursor.at += 1;
  while (cursor.at < source.length && source[cursor.at] !== '`') {
    if (source.startsWith('${', cursor.at)) {
      cursor.at += 2;
      [cursor.last, cursor.word] = ['{', ''];
      scanCode(cursor, true);
      cursor.at += 1;
      text += '…';
    } else {
      const length = source[cursor.at] === '\\' ? 2 : 1;
      text += source.slice(cursor.at, cursor.at + length);
      cursor.at += length;
    }
  }
  cursor.at += 1;
  add(cursor, 'string', start, text);
}

function scanRegularExpression(cursor: Cursor): void {
  const { source } = cursor;
  let inClass = false;
  cursor.at += 1;
  while (cursor.at < source.length && source[cursor.at] !== '\n' && (inClass || source[cursor.at] !== '/')) {
    if (source[cursor.at] === '[') inClass = true;
    if (source[cursor.at] === ']') inClass = false;
    cursor.at += source[cursor.at] === '\\' ? 2 : 1;
  }
  cursor.at += 1;
  [cursor.last, cursor.word] = [')', ''];
}
