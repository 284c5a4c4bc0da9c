// For tests: the files of a whole tiled log in memory, as c2sp.org/tlog-tiles lays them out.
import { signCheckpoint } from './checkpoint.ts';
import { leafHash } from './merkle.ts';
import type { NoteSigner } from './note.ts';
import { encodeEntryBundle, encodeTile, tilePath, tileWidth } from './tile.ts';
import { appendLeaves, edgeRoot, emptyEdge, partialTiles } from './tree-edge.ts';

/** Path to bytes: checkpoint, tiles and entry bundles of a log of these entries. */
export async function testLogFiles(
  entries: readonly Uint8Array[],
  signer: NoteSigner,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const { edge, full } = appendLeaves(emptyEdge, entries.map(leafHash));
  for (const tile of [...full, ...partialTiles(edge)]) {
    files.set(tilePath(tile), encodeTile(tile.hashes));
    if (tile.level !== 0) continue;
    const start = tile.index * tileWidth;
    files.set(tilePath({ ...tile, level: 'entries' }), encodeEntryBundle(entries.slice(start, start + tile.width)));
  }
  files.set('checkpoint', await signCheckpoint({ size: edge.size, root: edgeRoot(edge) }, signer));
  return files;
}
