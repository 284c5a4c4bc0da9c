import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { encodeTile, tileWidth } from '@edgekeep/core/audit/tile';
import { appendLeaves, emptyEdge } from '@edgekeep/core/audit/tree-edge';
import { TreeReader } from './tree-reader.ts';

const leaves = Array.from({ length: tileWidth + 3 }, (_, at) => leafHash(Uint8Array.of(at & 0xff, at >> 8)));
const { edge } = appendLeaves(emptyEdge, leaves);
const tile = encodeTile(leaves.slice(0, tileWidth));

test('a full tile is read once for all who ask for it at the same time', async () => {
  let reads = 0;
  const reader = new TreeReader(async () => {
    reads += 1;
    return tile;
  });
  const indices = Array.from({ length: tileWidth }, (_, at) => at);
  const proofs = await Promise.all(indices.map((at) => reader.inclusion(edge, at, edge.size)));
  assert.equal(proofs.length, tileWidth);
  assert.equal(reads, 1);
});

test('a read that failed is tried again by the next one who asks', async () => {
  let reads = 0;
  const reader = new TreeReader(async () => {
    reads += 1;
    if (reads === 1) throw new Error('the disk is away');
    return tile;
  });
  await assert.rejects(reader.inclusion(edge, 5, edge.size), /away/);
  assert.ok((await reader.inclusion(edge, 5, edge.size)).length > 0);
  assert.equal(reads, 2);
});
