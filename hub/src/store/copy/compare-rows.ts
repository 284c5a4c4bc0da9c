// Compares two stores row by row: each engine says type and bytes of every column itself, so a value that one of them changed is found.
import { createHash } from 'node:crypto';
import { HubError } from '../../common/error.ts';
import type { CopyProgress, CopySource, RowText } from './copy-end.ts';
import type { TableShape } from '../table-shape.ts';

export interface ComparedRows {
  readonly tables: number;
  readonly rows: number;
  /** SHA-256 over the texts of all rows, hex: what two stores with the same rows have in common. */
  readonly digest: string;
}

const PROGRESS_ROWS = 10_000;

/** Throws `move-refused` with the first row that differs. */
export async function compareRows(
  source: Pick<CopySource, 'texts'>,
  copy: Pick<CopySource, 'texts'>,
  { shapes, progress }: { readonly shapes: readonly TableShape[]; readonly progress: CopyProgress },
): Promise<ComparedRows> {
  const whole = createHash('sha256');
  let total = 0;
  for (const shape of shapes) {
    whole.update(`${shape.table}\n`);
    let done = 0;
    for await (const { row, copied } of inPairs(source.texts(shape), copy.texts(shape))) {
      assertSame(shape.table, row, copied);
      whole.update(`${row?.text}\n`);
      done += 1;
      if (done % PROGRESS_ROWS === 0) progress(shape.table, done);
    }
    progress(shape.table, done);
    total += done;
  }
  return { tables: shapes.length, rows: total, digest: whole.digest('hex') };
}

interface Pair {
  readonly row: RowText | undefined;
  readonly copied: RowText | undefined;
}

/** Undefined on the side that ended. */
async function* inPairs(rows: AsyncIterable<RowText>, copies: AsyncIterable<RowText>): AsyncGenerator<Pair> {
  const copied = copies[Symbol.asyncIterator]();
  try {
    for await (const row of rows) {
      const { done, value } = await copied.next();
      yield { row, copied: done === true ? undefined : value };
    }
    for (let next = await copied.next(); next.done !== true; next = await copied.next())
      yield { row: undefined, copied: next.value };
  } finally {
    await copied.return?.();
  }
}

// Both come in the order of their keys.
function assertSame(table: string, row: RowText | undefined, copied: RowText | undefined): void {
  if (row !== undefined && row.text === copied?.text) return;
  if (row === undefined) throw differs(table, copied?.name ?? '', 'is in the copy alone');
  if (copied?.name !== row.name) throw differs(table, row.name, 'is not in the copy at its place');
  throw differs(table, row.name, 'has another content in the copy');
}

function differs(table: string, name: string, how: string): HubError {
  return new HubError('move-refused', `the copy is not the store: the row "${name}" of ${table} ${how}`);
}
