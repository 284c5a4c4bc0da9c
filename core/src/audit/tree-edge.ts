// The right edge of a growing tree: everything that is needed to append to it, to write its tiles and to know its root. For each tile level
// it holds the hashes of the tile that is not full yet.
import { CoreError } from '../error.ts';
import { emptyRoot, nodeHash } from './merkle.ts';
import { rowLength, type TileAddress, tileSubtrees, tileWidth } from './tile.ts';

export interface TreeEdge {
  readonly size: number;
  /** `levels[l]` are the hashes of the partial tile of level l, 0 to 255 of them. */
  readonly levels: readonly (readonly Uint8Array[])[];
}

export interface Tile extends TileAddress {
  readonly level: number;
  readonly hashes: readonly Uint8Array[];
}

export const emptyEdge: TreeEdge = { size: 0, levels: [] };

/** Appends leaf hashes; `full` are the tiles that became full, each after the tiles below it. The given edge is unchanged. */
export function appendLeaves(
  edge: TreeEdge,
  leafHashes: readonly Uint8Array[],
): { readonly edge: TreeEdge; readonly full: readonly Tile[] } {
  const levels = edge.levels.map((hashes) => [...hashes]);
  const full: Tile[] = [];
  let size = edge.size;
  const push = (level: number, hash: Uint8Array): void => {
    const hashes = (levels[level] ??= []);
    hashes.push(hash);
    if (hashes.length < tileWidth) return;
    levels[level] = [];
    full.push({ level, index: rowLength(level + 1, size) - 1, width: tileWidth, hashes });
    push(level + 1, tileRoot(hashes));
  };
  for (const hash of leafHashes) {
    size++;
    push(0, hash);
  }
  return { edge: { size, levels }, full };
}

/** The tiles of the edge that are not full: together with the full ones they are the whole tree. */
export function partialTiles(edge: TreeEdge): readonly Tile[] {
  return edge.levels.flatMap((hashes, level) =>
    hashes.length === 0
      ? []
      : [{ level, index: Math.floor(rowLength(level, edge.size) / tileWidth), width: hashes.length, hashes }],
  );
}

/** The root hash of the tree (RFC 6962 2.1): its perfect subtrees, folded from the right. */
export function edgeRoot(edge: TreeEdge): Uint8Array {
  let root: Uint8Array | undefined;
  for (const hashes of edge.levels) {
    for (const subtree of perfectSubtrees(hashes)) {
      root = root === undefined ? subtree : nodeHash(subtree, root);
    }
  }
  return root ?? emptyRoot;
}

// From right to left, the smallest first: a partial tile of 5 hashes is a subtree of one hash and one of 4.
function perfectSubtrees(hashes: readonly Uint8Array[]): readonly Uint8Array[] {
  return tileSubtrees(hashes).flatMap((row) => (row.length % 2 === 1 ? row.slice(-1) : []));
}

function tileRoot(hashes: readonly Uint8Array[]): Uint8Array {
  const root = tileSubtrees(hashes).at(-1)?.[0];
  if (root === undefined) throw new CoreError('tile-invalid', 'a tile without hashes has no root');
  return root;
}
