// Columns of text for people: as wide as their widest cell, two spaces between.
import { printableCell } from '@edgekeep/host/printable';

export function table(given: readonly (readonly string[])[]): string {
  const rows = given.map((row) => row.map(printableCell));
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Unix milliseconds as a short UTC time. */
export function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('T', ' ').slice(0, 19);
}
