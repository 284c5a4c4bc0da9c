import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testLogKey as logKey, testLogSigner } from '../access/testing-receipt.ts';
import { signCheckpoint } from './checkpoint.ts';
import { followCheckpoint } from './follower.ts';
import { leafHash } from './merkle.ts';
import { appendLeaves, edgeRoot, emptyEdge } from './tree-edge.ts';

const leaves = Array.from({ length: 9 }, (_, at) => leafHash(Buffer.from(`leaf ${at}`)));

test('a log that is set back is refused, and both signed checkpoints are handed out', async () => {
  const [seen, smaller] = [await checkpoint(9), await checkpoint(6)];
  for (const oldSize of [9, 6]) {
    const verdict = followCheckpoint(seen, { oldSize, proof: [], checkpoint: smaller }, logKey);
    assert.equal(verdict.kind, 'refused');
    if (verdict.kind !== 'refused') return;
    assert.equal(verdict.status, oldSize === 9 ? 400 : 409);
    assert.equal(verdict.lastSize, 9);
    assert.deepEqual(verdict.unexplained, { first: seen, second: smaller });
  }
});

test('a device whose own last checkpoint is not of this log stops instead of starting anew', async () => {
  const next = await checkpoint(9);
  assert.throws(
    () => followCheckpoint(next, { oldSize: 9, proof: [], checkpoint: next }, { ...logKey, id: '00000000' }),
    {
      code: 'checkpoint-invalid',
    },
  );
});

function checkpoint(size: number): Promise<Uint8Array> {
  const { edge } = appendLeaves(emptyEdge, leaves.slice(0, size));
  return signCheckpoint({ size, root: edgeRoot(edge) }, testLogSigner);
}
