// Tiles and entry bundles as c2sp.org/tlog-tiles defines them: their paths under the log's prefix, and their bytes.
import { ByteReader, ByteWriter, concat } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { hashLength, type NodeAddress, nodeHash, TREE_SIZE_MAX } from './merkle.ts';

/** Hashes in a full tile; a tile spans eight levels of the tree. */
export const tileWidth = 256;
const tileHeight = 8;

/** tlog-tiles: a 16-bit length precedes each entry. */
const BUNDLED_ENTRY_BYTES_MAX = 0xffff;

/** The maximum size of an entry bundle: 256 entries of the largest size, each after its length. */
export const BUNDLE_BYTES_MAX: number = tileWidth * (2 + BUNDLED_ENTRY_BYTES_MAX);
export const TILE_BYTES_MAX: number = tileWidth * hashLength;

/** Which tile: `level` 'entries' is an entry bundle. `width` is 256 for a full tile, 1 to 255 for a partial one. */
export interface TileAddress {
  readonly level: number | 'entries';
  readonly index: number;
  readonly width: number;
}

/** The path under the log's prefix, for example `tile/0/x001/x234/067.p/12`. */
export function tilePath({ level, index, width }: TileAddress): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g) ?? [];
  const folders = groups.map((group, at) => (at === groups.length - 1 ? group : `x${group}`)).join('/');
  return `tile/${level}/${folders}${width === tileWidth ? '' : `.p/${width}`}`;
}

const pathPattern =
  /^tile\/(entries|0|[1-9]|[1-5][0-9]|6[0-3])\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$/;

/** The reverse of `tilePath`, for servers. Anything but the one spelling of a path throws `tile-invalid`. */
export function parseTilePath(path: string): TileAddress {
  const [, level, folders, width] = pathPattern.exec(path) ?? [];
  if (level === undefined || folders === undefined) throw invalid(`${JSON.stringify(path)} is not the path of a tile`);
  const index = Number(folders.replaceAll(/[x/]/g, ''));
  const address: TileAddress = {
    level: level === 'entries' ? level : Number(level),
    index,
    width: width === undefined ? tileWidth : Number(width),
  };
  if (index > TREE_SIZE_MAX || tilePath(address) !== path) throw invalid(`${path} is not in its shortest form`);
  return address;
}

/** Hashes in the row of a tile level for a tree of `size` leaves. */
export function rowLength(level: number, size: number): number {
  return Math.floor(size / tileWidth ** level);
}

/** The width of a tile in a tree of `size` leaves; 0 when the tree has no such tile. */
export function widthInTree({ level, index }: Omit<TileAddress, 'width'>, size: number): number {
  const row = rowLength(level === 'entries' ? 0 : level, size);
  return Math.max(0, Math.min(tileWidth, row - index * tileWidth));
}

/** The tile, in a tree of `size` leaves, from whose hashes a node can be computed. */
export function tileOfNode({ level, index }: NodeAddress, size: number): TileAddress {
  const tileLevel = Math.floor(level / tileHeight);
  const tileIndex = Math.floor((index * 2 ** (level % tileHeight)) / tileWidth);
  return {
    level: tileLevel,
    index: tileIndex,
    width: widthInTree({ level: tileLevel, index: tileIndex }, size),
  };
}

/** A tile's bytes as its hashes; throws `tile-invalid` for a length that does not match the width. */
export function parseTile(bytes: Uint8Array, width: number): readonly Uint8Array[] {
  if (bytes.length !== width * hashLength) {
    throw invalid(`expected ${width * hashLength} bytes for ${width} hashes, found ${bytes.length}`);
  }
  return Array.from({ length: width }, (_, at) => bytes.subarray(at * hashLength, (at + 1) * hashLength));
}

export function encodeTile(hashes: readonly Uint8Array[]): Uint8Array {
  return concat(...hashes);
}

/** Entries of a bundle that must contain exactly `width` of them. */
export function parseEntryBundle(bytes: Uint8Array, width: number): readonly Uint8Array[] {
  const reader = new ByteReader(bytes, 'entry bundle');
  const entries = Array.from({ length: width }, () => reader.sized16());
  reader.end();
  return entries;
}

export function encodeEntryBundle(entries: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter();
  for (const entry of entries) writer.sized16(entry);
  return writer.finish();
}

/**
 * The nodes inside one tile: `subtrees[height][at]` is the hash over 2^height hashes of the tile, from 2^height * at on. In a partial tile
 * only perfect subtrees exist. `subtrees[8][0]` of a full tile is its hash in the level above.
 */
export type TileSubtrees = readonly (readonly Uint8Array[])[];

export function tileSubtrees(hashes: readonly Uint8Array[]): TileSubtrees {
  const rows: Uint8Array[][] = [[...hashes]];
  for (let row = rows[0]; row !== undefined && row.length > 1; row = rows.at(-1)) {
    const above: Uint8Array[] = [];
    let left: Uint8Array | undefined;
    for (const each of row) {
      if (left === undefined) left = each;
      else {
        above.push(nodeHash(left, each));
        left = undefined;
      }
    }
    rows.push(above);
  }
  return rows;
}

/** The hash of a node from the subtrees of its tile. A node that is not in the tile throws `tile-invalid`. */
export function nodeInTile(subtrees: TileSubtrees, { level, index }: NodeAddress): Uint8Array {
  const height = level % tileHeight;
  const found = subtrees[height]?.[index % (tileWidth / 2 ** height)];
  if (found === undefined) throw invalid(`the tile is too narrow for the node at level ${level}, index ${index}`);
  return found;
}

function invalid(message: string): CoreError {
  return new CoreError('tile-invalid', message);
}
