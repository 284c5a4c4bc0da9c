// The Merkle tree of RFC 6962 section 2.1, with the iterative verification algorithms of RFC 9162 section 2.1. Proofs are made from node
// hashes that the caller looks up (in tiles, or in memory), so one algorithm serves both.
import { hash } from 'node:crypto';
import { equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';

export const hashLength = 32;

/** A proof never has more hashes than a tree of 2^63 entries could need (tlog-witness gives the same limit). */
export const PROOF_HASHES_MAX = 63;

/** Sizes and indices are numbers: trees larger than the safe integers are refused. */
export const TREE_SIZE_MAX: number = Number.MAX_SAFE_INTEGER;

/**
 * The hash of the perfect subtree over the leaves [index * 2^level, (index + 1) * 2^level).
 * Only subtrees completely inside the tree are requested.
 */
export type NodeHashes = (level: number, index: number) => Uint8Array;

/** The position of a node: see NodeHashes. */
export interface NodeAddress {
  readonly level: number;
  readonly index: number;
}

const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

/** RFC 6962 2.1: the hash of an empty tree is the hash of nothing. */
export const emptyRoot: Uint8Array = sha256(new Uint8Array(0));

/** RFC 6962 2.1: SHA-256(0x00 || entry). */
export function leafHash(entry: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([leafPrefix, entry]));
}

/** RFC 6962 2.1: SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([nodePrefix, left, right], 1 + 2 * hashLength));
}

function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}

/** The root of the tree of the first `size` leaves. */
export function rootHash(size: number, nodes: NodeHashes): Uint8Array {
  assertSize(size);
  return size === 0 ? emptyRoot : rangeHash({ start: 0, end: size }, nodes);
}

/** RFC 6962 2.1.1: the audit path of leaf `index` in the tree of `size` leaves, from the leaf's sibling upwards. */
export function makeInclusionProof(index: number, size: number, nodes: NodeHashes): readonly Uint8Array[] {
  return inclusionRanges(index, size).map((range) => rangeHash(range, nodes));
}

/** RFC 6962 2.1.2: the proof that the tree of `from` leaves is a prefix of the tree of `to` leaves. From size 0 there is nothing to prove: `proof-invalid`. */
export function makeConsistencyProof(from: number, to: number, nodes: NodeHashes): readonly Uint8Array[] {
  return consistencyRanges(from, to).map((range) => rangeHash(range, nodes));
}

/** The nodes that `makeInclusionProof` needs, so that a caller can fetch them first. */
export function inclusionNodes(index: number, size: number): readonly NodeAddress[] {
  return inclusionRanges(index, size).flatMap(rangeNodes);
}

/** The nodes that `makeConsistencyProof` needs. */
export function consistencyNodes(from: number, to: number): readonly NodeAddress[] {
  return consistencyRanges(from, to).flatMap(rangeNodes);
}

export interface InclusionClaim {
  readonly leafHash: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** RFC 9162 2.1.3.2. False means that the claim is not proven; a claim that is impossible for any tree throws `proof-invalid`. */
export function verifyInclusion(claim: InclusionClaim): boolean {
  assertIndex(claim.index, claim.size);
  assertHashes([claim.leafHash, claim.root, ...claim.proof]);
  let place = claim.index;
  let last = claim.size - 1;
  let computed = claim.leafHash;
  for (const sibling of claim.proof) {
    if (last === 0) return false;
    if (isOdd(place) || place === last) {
      computed = nodeHash(sibling, computed);
      while (!isOdd(place) && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      computed = nodeHash(computed, sibling);
    }
    [place, last] = [half(place), half(last)];
  }
  return last === 0 && equalBytes(computed, claim.root);
}

export interface ConsistencyClaim {
  readonly from: number;
  readonly fromRoot: Uint8Array;
  readonly to: number;
  readonly toRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** RFC 9162 2.1.4.2. False means not proven; from size 0, from a larger to a smaller tree, or a hash of a wrong length throws `proof-invalid`. */
export function verifyConsistency(claim: ConsistencyClaim): boolean {
  assertSpan(claim.from, claim.to);
  assertHashes([claim.fromRoot, claim.toRoot, ...claim.proof]);
  if (claim.from === claim.to) return claim.proof.length === 0 && equalBytes(claim.fromRoot, claim.toRoot);
  const path = isPowerOfTwo(claim.from) ? [claim.fromRoot, ...claim.proof] : claim.proof;
  // A root that is itself the path's start proves nothing: at least one more hash must follow.
  const roots = claim.proof.length === 0 ? undefined : foldConsistencyPath(claim.from, claim.to, path);
  return roots !== undefined && equalBytes(roots.from, claim.fromRoot) && equalBytes(roots.to, claim.toRoot);
}

/**
 * The two roots according to a consistency proof. Undefined when its length is wrong, and when `from` is a power of two: then the older
 * root is not in the proof. A log that signs the newer root and shows this path has committed to the older one.
 */
export function rootsOfConsistencyProof(
  from: number,
  to: number,
  proof: readonly Uint8Array[],
): { readonly from: Uint8Array; readonly to: Uint8Array } | undefined {
  assertSpan(from, to);
  assertHashes(proof);
  return from === to || isPowerOfTwo(from) ? undefined : foldConsistencyPath(from, to, proof);
}

function foldConsistencyPath(from: number, to: number, path: readonly Uint8Array[]) {
  const [start, ...rest] = path;
  if (start === undefined) return undefined;
  let place = from - 1;
  let last = to - 1;
  while (isOdd(place)) [place, last] = [half(place), half(last)];
  let older = start;
  let newer = start;
  for (const sibling of rest) {
    if (last === 0) return undefined;
    if (isOdd(place) || place === last) {
      older = nodeHash(sibling, older);
      newer = nodeHash(sibling, newer);
      while (!isOdd(place) && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      newer = nodeHash(newer, sibling);
    }
    [place, last] = [half(place), half(last)];
  }
  return last === 0 ? { from: older, to: newer } : undefined;
}

/** A run of leaves whose subtree hash is in a proof. */
interface LeafRange {
  readonly start: number;
  readonly end: number;
}

function inclusionRanges(index: number, size: number): readonly LeafRange[] {
  assertIndex(index, size);
  const ranges: LeafRange[] = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    if (index < middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  return ranges.toReversed();
}

function consistencyRanges(from: number, to: number): readonly LeafRange[] {
  assertSpan(from, to);
  const ranges: LeafRange[] = [];
  let [start, end] = [0, to];
  while (end !== from) {
    const middle = start + splitPoint(end - start);
    if (from <= middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  // RFC 6962 2.1.2: when the older tree is a whole subtree of the newer one, the verifier knows it already.
  if (start !== 0) ranges.push({ start, end });
  return ranges.toReversed();
}

function rangeHash({ start, end }: LeafRange, nodes: NodeHashes): Uint8Array {
  const [last, ...before] = rangeNodes({ start, end })
    .map(({ level, index }) => nodes(level, index))
    .toReversed();
  if (last === undefined) throw new CoreError('proof-invalid', 'an empty range of leaves has no hash in a proof');
  return before.reduce((right, left) => nodeHash(left, right), last);
}

// RFC 6962 splits at the largest power of two, so a range is a row of perfect subtrees, each smaller than the one to its left.
function rangeNodes({ start, end }: LeafRange): readonly NodeAddress[] {
  const nodes: NodeAddress[] = [];
  for (let at = start; at < end;) {
    const level = floorLog2(end - at);
    const width = 2 ** level;
    nodes.push({ level, index: at / width });
    at += width;
  }
  return nodes;
}

/** The largest power of two below `size` (RFC 6962 2.1). */
function splitPoint(size: number): number {
  return 2 ** floorLog2(size - 1);
}

function isPowerOfTwo(size: number): boolean {
  return 2 ** floorLog2(size) === size;
}

// Exact for every safe integer, which Math.log2 is not.
function floorLog2(value: number): number {
  const high = Math.floor(value / 2 ** 32);
  return high === 0 ? 31 - Math.clz32(value) : 63 - Math.clz32(high);
}

function isOdd(value: number): boolean {
  return value % 2 === 1;
}

function half(value: number): number {
  return Math.floor(value / 2);
}

function assertSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0 || size > TREE_SIZE_MAX) {
    throw new CoreError('proof-invalid', `expected a tree size from 0 to 2^53 - 1, found ${size}`);
  }
}

function assertIndex(index: number, size: number): void {
  assertSize(size);
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new CoreError('proof-invalid', `there is no leaf ${index} in a tree of ${size} leaves`);
  }
}

function assertSpan(from: number, to: number): void {
  assertSize(from);
  assertSize(to);
  if (from === 0) throw new CoreError('proof-invalid', 'a consistency proof from an empty tree proves nothing');
  if (from > to) throw new CoreError('proof-invalid', `a tree of ${from} leaves cannot be a prefix of one of ${to}`);
}

function assertHashes(hashes: readonly Uint8Array[]): void {
  if (hashes.length > PROOF_HASHES_MAX + 2) {
    throw new CoreError(
      'proof-invalid',
      `a proof of ${hashes.length} hashes, at most ${PROOF_HASHES_MAX} are possible`,
    );
  }
  for (const each of hashes) {
    if (each.length !== hashLength) {
      throw new CoreError('proof-invalid', `expected hashes of ${hashLength} bytes, found one of ${each.length}`);
    }
  }
}
