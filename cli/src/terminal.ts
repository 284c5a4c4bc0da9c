// The terminal that standard output is, if it is one: lists for people fit into it, and what goes into a pipe or a file is whole.

/** No terminal is so narrow; one without a size says 0. */
const COLUMNS_MIN = 20;
const columnsUnknown = 80;

type Output = Pick<NodeJS.WriteStream, 'isTTY' | 'columns'>;

/** Its columns; undefined where the output is no terminal, and a line may have any length. */
export function terminalColumns({ isTTY, columns }: Output = process.stdout): number | undefined {
  // `isTTY` is undefined for a pipe.
  if (!isTTY) return undefined;
  return columns > 0 ? Math.max(COLUMNS_MIN, columns) : columnsUnknown;
}
