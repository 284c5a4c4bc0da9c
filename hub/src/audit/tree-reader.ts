// Node hashes of the integrated tree, read from the log's own tiles: full ones from the folder (a few are kept in memory), partial ones
// from the edge.
import {
  consistencyNodes,
  inclusionNodes,
  makeConsistencyProof,
  makeInclusionProof,
  type NodeAddress,
  type NodeHashes,
} from '@edgekeep/core/audit/merkle';
import {
  nodeInTile,
  parseTile,
  type TileAddress,
  tileOfNode,
  tilePath,
  type TileSubtrees,
  tileSubtrees,
  tileWidth,
} from '@edgekeep/core/audit/tile';
import type { TreeEdge } from '@edgekeep/core/audit/tree-edge';
import { type RetryingOnce, retryingOnce } from '@edgekeep/host/retrying-once';
import { LruMap } from 'toad-cache';
import { HubError } from '../common/error.ts';

/** Full tiles kept with their inner nodes, about 50 KB each: most proofs are for the newest entries. */
const KEPT_TILES_MAX = 128;

export class TreeReader {
  readonly #readTile: (address: TileAddress) => Promise<Uint8Array>;
  /** Tiles that are loaded or being read: concurrent callers share one read. */
  readonly #kept = new LruMap<RetryingOnce<TileSubtrees>>(KEPT_TILES_MAX);
  readonly #edges = new WeakMap<readonly Uint8Array[], TileSubtrees>();

  constructor(readTile: (address: TileAddress) => Promise<Uint8Array>) {
    this.#readTile = readTile;
  }

  /** The audit path of an entry in the tree of `size` leaves, which must not be larger than the edge's. */
  async inclusion(edge: TreeEdge, index: number, size: number): Promise<readonly Uint8Array[]> {
    const nodes = await this.#load(edge, inclusionNodes(index, size));
    return makeInclusionProof(index, size, nodes);
  }

  async consistency(edge: TreeEdge, from: number, to: number): Promise<readonly Uint8Array[]> {
    const nodes = await this.#load(edge, consistencyNodes(from, to));
    return makeConsistencyProof(from, to, nodes);
  }

  async #load(edge: TreeEdge, wanted: readonly NodeAddress[]): Promise<NodeHashes> {
    const loaded = new Map<string, Uint8Array>();
    for (const node of wanted) {
      const subtrees = await this.#subtrees(edge, tileOfNode(node, edge.size));
      loaded.set(`${node.level}/${node.index}`, nodeInTile(subtrees, node));
    }
    return (level, index) => {
      const hash = loaded.get(`${level}/${index}`);
      if (hash === undefined) throw new HubError('store-failed', `node ${level}/${index} was not loaded for the proof`);
      return hash;
    };
  }

  async #subtrees(edge: TreeEdge, address: TileAddress): Promise<TileSubtrees> {
    if (address.width < tileWidth) return this.#edgeSubtrees(edge, address);
    const path = tilePath(address);
    // A failed read is not kept: the next caller tries again.
    const subtrees = this.#kept.get(path) ?? retryingOnce(() => this.#read(address));
    this.#kept.set(path, subtrees);
    return subtrees();
  }

  async #read(address: TileAddress): Promise<TileSubtrees> {
    return tileSubtrees(parseTile(await this.#readTile(address), tileWidth));
  }

  #edgeSubtrees(edge: TreeEdge, { level }: TileAddress): TileSubtrees {
    const hashes = typeof level === 'number' ? edge.levels[level] : undefined;
    if (hashes === undefined) throw new HubError('store-failed', `the edge of the tree has no level ${level}`);
    const subtrees = this.#edges.get(hashes) ?? tileSubtrees(hashes);
    this.#edges.set(hashes, subtrees);
    return subtrees;
  }
}
