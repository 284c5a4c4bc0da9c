import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ArtifactFolder } from './artifact-folder.ts';

test('a blob that is not there is none, and a store that cannot be looked at is an error, not an empty one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-blobs-'));
  try {
    const sha256 = 'ab'.repeat(32);
    assert.equal(await new ArtifactFolder(folder).has(sha256, 3), false);
    await writeFile(join(folder, 'file'), '');
    await assert.rejects(new ArtifactFolder(join(folder, 'file')).has(sha256, 3), { code: 'ENOTDIR' });
  } finally {
    await rm(folder, { recursive: true });
  }
});
