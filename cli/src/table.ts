// Columns of text for people, two spaces between. At a terminal they fit into its width: long cells wrap, and where there is no room for columns
// each row becomes lines of its own. Ids and digests are never cut.
import { printableCell } from '@edgekeep/host/printable';
import { terminalColumns } from './terminal.ts';
import { padded, textWidth, widestPiece, wrapText } from './text-width.ts';

const gap = 2;
/** Shorter cells stay on one line: dates, states, numbers. */
const UNBROKEN_MAX = 20;
/** In a list with two columns, the second one is not narrower. */
const VALUE_MIN = 20;
/** More rows are no list that a person reads at a terminal. */
const ROWS_MAX = 100;

type Row = readonly string[];

/** `columns` is the width to fit into; undefined: as wide as the cells are. */
export function table(given: readonly Row[], columns = terminalColumns()): string {
  const rows = given.map((row) => row.map(printableCell));
  const natural = widthsOf(rows, textWidth);
  if (columns === undefined || total(natural) <= columns) return laidOut(rows, natural);
  const [head = [], ...body] = rows;
  if (natural.length > 2) {
    const minWidths = widthsOf(rows, (cell) => Math.max(Math.min(textWidth(cell), UNBROKEN_MAX), widestPiece(cell)));
    if (total(minWidths) <= columns) return laidOut(rows, shared(minWidths, natural, columns));
    return isHead(head) ? stacked(head, body, columns) : stacked([], rows, columns);
  }
  const [first = 0, second = 0] = natural;
  return laidOut(rows, [first, Math.max(Math.min(second, VALUE_MIN), columns - first - gap)]);
}

/**
 * What a terminal shows of a list that may be long: as much as a person reads, and how many more there are. `narrow` says how to choose some. A
 * pipe gets all.
 */
export function listText([head = [], ...rows]: readonly Row[], narrow?: string, columns = terminalColumns()): string {
  const more = rows.length - ROWS_MAX;
  if (columns === undefined || more <= 0) return table([head, ...rows], columns);
  const how = [...(narrow === undefined ? [] : [narrow]), '--json, or a pipe (… | less), has all'].join('; ');
  const ending = wrapText(`${more} more of ${rows.length}: ${how}`, columns);
  return [table([head, ...rows.slice(0, ROWS_MAX)], columns), ...ending].join('\n');
}

/** Unix milliseconds as a short UTC time. */
export function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('T', ' ').slice(0, 19);
}

function widthsOf(rows: readonly Row[], widthOf: (cell: string) => number): readonly number[] {
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, widthOf(cell));
  return widths;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, gap * (widths.length - 1));
}

/** What is left of the width goes to the columns that need more, the one that needs fewest columns first. */
function shared(minWidths: readonly number[], natural: readonly number[], columns: number): readonly number[] {
  const widths = [...minWidths];
  let left = columns - total(minWidths);
  const needs = natural.map((width, at) => ({ at, need: width - (minWidths[at] ?? 0) })).filter(({ need }) => need > 0);
  for (const [done, { at, need }] of needs.toSorted((a, b) => a.need - b.need).entries()) {
    const given = Math.min(need, Math.floor(left / (needs.length - done)));
    widths[at] = (widths[at] ?? 0) + given;
    left -= given;
  }
  return widths;
}

function laidOut(rows: readonly Row[], widths: readonly number[]): string {
  return rows
    .flatMap((row) => {
      const cells = row.map((cell, at) => wrapText(cell, widths[at] ?? 0));
      const height = Math.max(1, ...cells.map(({ length }) => length));
      return Array.from({ length: height }, (_, line) =>
        cells
          .map((lines, at) => padded(lines[line] ?? '', widths[at] ?? 0))
          .join(' '.repeat(gap))
          .trimEnd(),
      );
    })
    .join('\n');
}

/** A row as lines: its first cell, and below it the others by the names of their columns. */
function stacked(head: Row, rows: readonly Row[], columns: number): string {
  const names = head.slice(1);
  const label = Math.max(0, ...names.map(textWidth));
  return rows
    .flatMap(([first = '', ...others]) => [
      ...wrapText(first, columns),
      ...others.flatMap((cell, at) => (cell === '' ? [] : namedLines({ name: names[at] ?? '', label, cell, columns }))),
    ])
    .join('\n');
}

/** A cell behind its name, or below it where a word of the cell is too long for that. */
function namedLines(each: { name: string; label: number; cell: string; columns: number }): readonly string[] {
  const { name, label, cell, columns } = each;
  const indent = label === 0 ? gap : gap + label + gap;
  if (label > 0 && widestPiece(cell) > columns - indent)
    return [`  ${name}`, ...wrapText(cell, columns - 2 * gap).map((line) => `    ${line}`)];
  return wrapText(cell, Math.max(1, columns - indent)).map(
    (line, part) => `  ${label === 0 ? '' : padded(part === 0 ? name : '', label + gap)}${line}`,
  );
}

/** Names of columns are in capitals. */
function isHead(row: Row): boolean {
  return row.some((cell) => /\p{L}/u.test(cell)) && row.every((cell) => cell === cell.toUpperCase());
}
