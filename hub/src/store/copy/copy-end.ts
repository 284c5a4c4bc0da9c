// The two ends of a copy. Each engine reads and writes rows in its own way; neither knows a table by its meaning.
import type { StoreMark } from '../store-mark.ts';
import type { Cell, TableShape } from '../table-shape.ts';

/** A row as text: type and bytes of each column, alike on every engine (store/engine/row-watch.ts). */
export interface RowText {
  /** The primary key, for people. */
  readonly name: string;
  readonly text: string;
}

/** One consistent state of a store, also while others write. */
export interface CopySource {
  rows(shape: TableShape): AsyncIterable<readonly Cell[]>;
  /** In the order of the key. */
  texts(shape: TableShape): AsyncIterable<RowText>;
}

/** A store that nobody uses yet. */
export interface CopyTarget {
  /** Removes what a migration put there. */
  clear(table: string): Promise<void>;
  insert(shape: TableShape, rows: readonly (readonly Cell[])[]): Promise<void>;
}

/** Hears how many rows of a table are done. */
export type CopyProgress = (table: string, rows: number) => void;

/** A store that a move copies: nobody can write into it until the move has ended, and it changes hands with one commit. */
export interface HeldStore extends AsyncDisposable {
  /** The state of the store since it is held. */
  readonly source: CopySource;
  /** Writes the mark, then runs `between`, then commits the mark, which is undone if `between` throws. */
  markMoved(mark: StoreMark, between: () => Promise<void>): Promise<void>;
}
