// The words that a user may have meant: the nearest of the known ones, by the number of characters to change.

// More than three changes, or more than a third of the word, is another word.
const CHANGES_MAX = 3;
const SHARE_MAX = 1 / 3;

/** The known words with the fewest changes; none where all are far. */
export function nearest(typed: string, known: readonly string[]): readonly string[] {
  const near = known
    .map((word) => ({ word, changes: changesBetween(typed, word) }))
    .filter(({ word, changes }) => changes <= Math.min(CHANGES_MAX, word.length * SHARE_MAX));
  const fewest = Math.min(...near.map(({ changes }) => changes));
  return near.filter(({ changes }) => changes === fewest).map(({ word }) => word);
}

// Characters to add, remove or replace, and neighbors to exchange: the optimal string alignment distance.
function changesBetween(a: string, b: string): number {
  // No need to count what is far anyway: the work for a long word is bounded.
  if (Math.abs(a.length - b.length) > CHANGES_MAX) return Infinity;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = cell(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const exchanged = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? cell(beforeLast, j - 2) + 1 : Infinity;
      row.push(Math.min(cell(last, j) + 1, cell(row, j - 1) + 1, replaced, exchanged));
    }
    [beforeLast, last] = [last, row];
  }
  return cell(last, b.length);
}

function cell(row: readonly number[], at: number): number {
  return row[at] ?? Infinity;
}
