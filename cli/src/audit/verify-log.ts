// Verifies a whole tiled log: recomputes every leaf hash from the entries, every tile from the leaf hashes, and the root that was signed.
import { equalBytes } from '@edgekeep/core/bytes';
import type { Checkpoint } from '@edgekeep/core/audit/checkpoint';
import { leafHash } from '@edgekeep/core/audit/merkle';
import {
  BUNDLE_BYTES_MAX,
  encodeTile,
  parseEntryBundle,
  parseTile,
  type TileAddress,
  TILE_BYTES_MAX,
  tilePath,
  tileWidth,
} from '@edgekeep/core/audit/tile';
import {
  appendLeaves,
  edgeRoot,
  emptyEdge,
  partialTiles,
  type Tile,
  type TreeEdge,
} from '@edgekeep/core/audit/tree-edge';
import { CoreError } from '@edgekeep/core/error';
import type { HandOverReader } from './hand-overs.ts';
import type { LogSource } from './log-source.ts';

export interface VerifyLogOptions {
  /** Leave the entries out and start from the tiles of level 0: for logs that serve their entries in another form. */
  readonly hashesOnly: boolean;
  /** Called after each bundle with the number of entries that were verified. */
  readonly progress: (verified: number) => void;
  /** Sees all entries in their order; left out, or with `hashesOnly`: nobody does. */
  readonly handOvers?: HandOverReader;
}

export type LogVerdict =
  | { readonly kind: 'verified'; readonly tiles: number; readonly bundles: number }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** Reads every tile and entry bundle of the checkpoint's tree. Stops at the first one that is missing or differs. */
export async function verifyLog(
  source: LogSource,
  { size, root }: Checkpoint,
  options: VerifyLogOptions,
): Promise<LogVerdict> {
  let edge: TreeEdge = emptyEdge;
  let tiles = 0;
  for (let start = 0; start < size; start += tileWidth * source.atOnce) {
    const starts = Array.from({ length: source.atOnce }, (_, at) => start + at * tileWidth).filter((at) => at < size);
    const read = await Promise.all(starts.map((at) => readLeaves(source, addressAt(at, size), options)));
    for (const leaves of read) {
      if (leaves.kind === 'refused') return leaves;
      options.handOvers?.read(leaves.entries, edge, leaves.hashes);
      const grown = appendLeaves(edge, leaves.hashes);
      edge = grown.edge;
      const wrong = await differingTile(source, grown.full);
      if (wrong !== undefined) return wrong;
      tiles += grown.full.length;
      options.progress(edge.size);
    }
  }
  const partial = partialTiles(edge);
  const wrong = await differingTile(source, partial);
  if (wrong !== undefined) return wrong;
  if (!equalBytes(edgeRoot(edge), root)) return refused('the tiles do not match the signed root hash');
  return {
    kind: 'verified',
    tiles: tiles + partial.length,
    bundles: options.hashesOnly ? 0 : Math.ceil(size / tileWidth),
  };
}

type Leaves =
  | { readonly kind: 'read'; readonly entries: readonly Uint8Array[]; readonly hashes: readonly Uint8Array[] }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

function addressAt(start: number, size: number): TileAddress {
  return { level: 0, index: start / tileWidth, width: Math.min(tileWidth, size - start) };
}

async function readLeaves(source: LogSource, address: TileAddress, options: VerifyLogOptions): Promise<Leaves> {
  const wanted: TileAddress = options.hashesOnly ? address : { ...address, level: 'entries' };
  const found = await readTile(source, wanted);
  if (found === undefined) return refused(`${tilePath(wanted)} is missing`);
  try {
    if (options.hashesOnly)
      return { kind: 'read', entries: [], hashes: parseTile(found.bytes, found.width).slice(0, address.width) };
    const entries = parseEntryBundle(found.bytes, found.width).slice(0, address.width);
    return { kind: 'read', entries, hashes: entries.map(leafHash) };
  } catch (error) {
    if (error instanceof CoreError) return refused(`${tilePath(wanted)}: ${error.message}`);
    throw error;
  }
}

async function differingTile(source: LogSource, tiles: readonly Tile[]) {
  for (const tile of tiles) {
    const found = await readTile(source, tile);
    if (found === undefined) return refused(`${tilePath(tile)} is missing`);
    const expected = encodeTile(tile.hashes);
    const fits =
      found.bytes.length === found.width * 32 && equalBytes(found.bytes.subarray(0, expected.length), expected);
    if (!fits) return refused(`${tilePath(tile)} does not contain the hashes of the tile below it`);
  }
  return undefined;
}

// tlog-tiles, "Partial Tiles": a partial tile may be missing once the full one exists.
async function readTile(source: LogSource, address: TileAddress) {
  const maxBytes = address.level === 'entries' ? BUNDLE_BYTES_MAX : TILE_BYTES_MAX;
  const bytes = await source.read(tilePath(address), maxBytes);
  if (bytes !== undefined) return { bytes, width: address.width };
  if (address.width === tileWidth) return undefined;
  const full = await source.read(tilePath({ ...address, width: tileWidth }), maxBytes);
  return full === undefined ? undefined : { bytes: full, width: tileWidth };
}

function refused(reason: string): { readonly kind: 'refused'; readonly reasons: readonly string[] } {
  return { kind: 'refused', reasons: [reason] };
}
