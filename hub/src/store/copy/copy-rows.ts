// Copies every row of every table, in batches of bounded size.
import type { CopyProgress, CopySource, CopyTarget } from './copy-end.ts';
import type { Cell, TableShape } from '../table-shape.ts';

const BATCH_ROWS_MAX = 1_000;
// Evidence and documents are large: a batch of them has fewer rows.
const BATCH_BYTES_MAX = 4_194_304;

export async function copyRows(
  source: CopySource,
  target: CopyTarget,
  { shapes, progress }: { readonly shapes: readonly TableShape[]; readonly progress: CopyProgress },
): Promise<void> {
  // Rows that refer to others go first, and come last.
  for (const { table } of shapes.toReversed()) await target.clear(table);
  for (const shape of shapes) {
    let done = 0;
    for await (const batch of inBatches(source.rows(shape))) {
      await target.insert(shape, batch);
      done += batch.length;
      progress(shape.table, done);
    }
  }
}

async function* inBatches(rows: AsyncIterable<readonly Cell[]>): AsyncGenerator<readonly (readonly Cell[])[]> {
  let batch: (readonly Cell[])[] = [];
  let bytes = 0;
  for await (const row of rows) {
    batch.push(row);
    bytes += sizeOf(row);
    if (batch.length < BATCH_ROWS_MAX && bytes < BATCH_BYTES_MAX) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

function sizeOf(row: readonly Cell[]): number {
  return row.reduce<number>((sum, cell) => sum + (cell === null || typeof cell === 'number' ? 8 : cell.length), 0);
}
