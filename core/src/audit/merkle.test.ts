import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { equalBytes, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import {
  consistencyNodes,
  inclusionNodes,
  leafHash,
  makeConsistencyProof,
  makeInclusionProof,
  type NodeHashes,
  nodeHash,
  rootHash,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts';
import { nodeInTile, tileOfNode, tilePath, tileSubtrees, widthInTree } from './tile.ts';
import { appendLeaves, edgeRoot, emptyEdge, partialTiles, type TreeEdge } from './tree-edge.ts';

const leaves = Array.from({ length: 70_000 }, (_, at) => leafHash(Buffer.from(`leaf ${at}`)));
const leaf = (at: number) => leaves[at] ?? assert.fail();

// RFC 6962 2.1 literally, recursively: another way to the same root than the one under test.
function treeHash(from: number, to: number): Uint8Array {
  if (to === from) return hash('sha256', '', 'buffer');
  if (to - from === 1) return leaf(from);
  let split = 1;
  while (split * 2 < to - from) split *= 2;
  return nodeHash(treeHash(from, from + split), treeHash(from + split, to));
}
const nodes: NodeHashes = (level, index) => treeHash(index * 2 ** level, (index + 1) * 2 ** level);
const sizeAndIndex = fc.integer({ min: 1, max: 600 }).chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1)));

test('the root of a tree is what RFC 6962 defines, by nodes and by edge', () => {
  for (const size of [0, 1, 2, 3, 7, 8, 255, 256, 257, 511, 600]) {
    const expected = toHex(treeHash(0, size));
    assert.equal(toHex(rootHash(size, nodes)), expected);
    assert.equal(toHex(edgeRoot(appendLeaves(emptyEdge, leaves.slice(0, size)).edge)), expected);
  }
});

test('every inclusion proof verifies, and for no other entry, size or root', () => {
  fc.assert(
    fc.property(sizeAndIndex, fc.nat(599), ([size, index], other) => {
      const root = treeHash(0, size);
      const claim = { leafHash: leaf(index), index, size, root, proof: makeInclusionProof(index, size, nodes) };
      assert.ok(verifyInclusion(claim));
      if (other !== index) {
        assert.ok(!verifyInclusion({ ...claim, leafHash: leaf(other) }));
        assert.ok(other >= size || !verifyInclusion({ ...claim, index: other }));
        assert.ok(!verifyInclusion({ ...claim, root: treeHash(0, other) }) || other === size);
      }
      for (const [at] of claim.proof.entries()) {
        assert.ok(!verifyInclusion({ ...claim, proof: claim.proof.toSpliced(at, 1) }));
        assert.ok(!verifyInclusion({ ...claim, proof: claim.proof.toSpliced(at, 0, root) }));
      }
    }),
    { numRuns: 60 },
  );
});

test('every consistency proof verifies, and not between other trees', () => {
  fc.assert(
    fc.property(sizeAndIndex, fc.nat(599), ([to, before], other) => {
      const from = before + 1;
      const claim = {
        from,
        to,
        fromRoot: treeHash(0, from),
        toRoot: treeHash(0, to),
        proof: makeConsistencyProof(from, to, nodes),
      };
      assert.ok(verifyConsistency(claim));
      const wrong = treeHash(0, other);
      assert.ok(other === from || !verifyConsistency({ ...claim, fromRoot: wrong }));
      assert.ok(other === to || !verifyConsistency({ ...claim, toRoot: wrong }));
      assert.ok(from === to || !verifyConsistency({ ...claim, proof: claim.proof.slice(1) }));
    }),
    { numRuns: 60 },
  );
});

test('there is no consistency proof from an empty tree', () => {
  const root = treeHash(0, 0);
  assert.throws(() => makeConsistencyProof(0, 5, nodes), { code: 'proof-invalid' });
  const claim = { from: 0, fromRoot: root, to: 5, toRoot: treeHash(0, 5), proof: [] };
  assert.throws(() => verifyConsistency(claim), { code: 'proof-invalid' });
});

test('proofs from tiles are the proofs from the tree', () => {
  const { edge, full } = appendLeaves(emptyEdge, leaves);
  const tiles = new Map([...full, ...partialTiles(edge)].map((tile) => [tilePath(tile), tileSubtrees(tile.hashes)]));
  const fromTiles: NodeHashes = (level, index) => {
    const path = tilePath(tileOfNode({ level, index }, leaves.length));
    return nodeInTile(tiles.get(path) ?? assert.fail(`${path} is not in the tree`), { level, index });
  };
  for (const [index, size] of [
    [0, 70_000],
    [69_999, 70_000],
    [65_535, 65_536],
    [65_536, 69_000],
    [300, 513],
  ] as const) {
    const proof = makeInclusionProof(index, size, fromTiles);
    assert.equal(proof.length, inclusionRangesOf(index, size));
    assert.ok(verifyInclusion({ leafHash: leaf(index), index, size, root: rootHash(size, fromTiles), proof }));
  }
  const [from, to] = [65_537, 70_000];
  assert.ok(consistencyNodes(from, to).length > 0);
  const [fromRoot, toRoot] = [rootHash(from, fromTiles), rootHash(to, fromTiles)];
  assert.ok(equalBytes(toRoot, edgeRoot(edge)));
  const proof = makeConsistencyProof(from, to, fromTiles);
  assert.ok(verifyConsistency({ from, fromRoot, to, toRoot, proof }));
});

test('a tree grown in any steps has the tiles and the root of one grown at once', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(700), { maxLength: 8 }), (steps) => {
      let grown: TreeEdge = emptyEdge;
      const paths: string[] = [];
      for (const step of steps) {
        const next = appendLeaves(grown, leaves.slice(grown.size, grown.size + step));
        grown = next.edge;
        paths.push(...next.full.map(tilePath));
      }
      const whole = appendLeaves(emptyEdge, leaves.slice(0, grown.size));
      assert.deepEqual(paths, whole.full.map(tilePath));
      assert.equal(toHex(edgeRoot(grown)), toHex(edgeRoot(whole.edge)));
      for (const { level, index, width } of partialTiles(grown)) {
        assert.equal(widthInTree({ level, index }, grown.size), width);
      }
    }),
    { numRuns: 30 },
  );
});

test('no size, index or hash makes the verifiers do anything but answer or throw CoreError', () => {
  const number = fc.oneof(fc.nat(20), fc.constantFrom(-1, 0.5, Number.NaN, 2 ** 53 - 1, 2 ** 53, Infinity));
  const hashes = fc.array(fc.uint8Array({ minLength: 31, maxLength: 32 }), { maxLength: 70 });
  fc.assert(
    fc.property(number, number, hashes, (a, b, proof) => {
      const root = leaf(0);
      for (const run of [
        () => verifyInclusion({ leafHash: root, index: a, size: b, root, proof }),
        () => verifyConsistency({ from: a, fromRoot: root, to: b, toRoot: root, proof }),
      ]) {
        try {
          run();
        } catch (error) {
          assert.ok(error instanceof CoreError, String(error));
        }
      }
    }),
  );
});

function inclusionRangesOf(index: number, size: number): number {
  let ranges = 0;
  for (let [start, end] = [0, size]; end - start > 1; ranges += 1) {
    let split = 1;
    while (split * 2 < end - start) split *= 2;
    if (index < start + split) end = start + split;
    else start += split;
  }
  assert.ok(inclusionNodes(index, size).length >= ranges);
  return ranges;
}
