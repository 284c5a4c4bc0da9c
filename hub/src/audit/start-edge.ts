// The edge of the tree at an earlier size, from its tiles: a start reads only what came after. The signed root decides whether the tiles are right.
import { parseTile, tileWidth } from '@edgekeep/core/audit/tile';
import { emptyEdge, type TreeEdge } from '@edgekeep/core/audit/tree-edge';
import { CoreError } from '@edgekeep/core/error';
import { HubError } from '../common/error.ts';
import type { TileFolder } from './tiles.ts';

/** The edge at the last full tile before `from`, in a tree of `size` entries; the empty one where a tile is missing. */
export async function edgeFromTiles(
  from: number,
  size: number,
  tiles: Pick<TileFolder, 'readTile'>,
): Promise<TreeEdge> {
  const start = Math.floor(from / tileWidth) * tileWidth;
  const levels: (readonly Uint8Array[])[] = [];
  try {
    for (let level = 0, span = 1; span <= start; level += 1, span *= tileWidth) {
      const [before, now] = [Math.floor(start / span), Math.floor(size / span)];
      const index = Math.floor(before / tileWidth);
      const width = Math.min(tileWidth, now - index * tileWidth);
      const kept = before % tileWidth;
      levels.push(kept === 0 ? [] : parseTile(await tiles.readTile({ level, index, width }), width).slice(0, kept));
    }
  } catch (error) {
    if (!(error instanceof CoreError) && !(error instanceof HubError)) throw error;
    return emptyEdge;
  }
  return { size: start, levels };
}
