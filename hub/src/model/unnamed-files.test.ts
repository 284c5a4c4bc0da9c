// Sealed files that no release names go after a week, in the folder and in a bucket; those of releases stay.
import assert from 'node:assert/strict';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { ArtifactFolder } from '../artifact/artifact-folder.ts';
import type { ArtifactStore } from '../artifact/artifact-store.ts';
import { BucketArtifacts } from '../artifact/bucket-artifacts.ts';
import { TestBucket } from '../artifact/testing-bucket.ts';
import { openTestStore } from '../store/testing-store.ts';
import { unnamedFiles } from './unnamed-files.ts';

const dayMs = 86_400_000;

test('a file that a hub stored before it ended, and no release names, goes after a week; one that a release names stays', async () => {
  await using store = await openTestStore();
  const { database } = store;
  let nowMs = Date.now();
  const clock = () => nowMs;
  const folder = join(store.folder, 'blobs');
  const bucket = new TestBucket();
  const places: readonly ArtifactStore[] = [
    new ArtifactFolder(folder),
    new BucketArtifacts({ database, bucket, clock }, () => undefined),
  ];
  for (const artifacts of places) {
    const put = (text: string) => artifacts.put(Readable.from([Buffer.from(text)]), 100);
    const [named, unnamed, again] = [await put('named'), await put('unnamed'), await put('again')];
    const row = { name: 'belt', version: '1.0.0', path: 'w', sealed_sha256: named.sha256, sealed_size: named.size };
    await database.write((trx) =>
      trx
        .insertInto('model_file')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute(),
    );
    const { signal } = new AbortController();
    const sweep = () => unnamedFiles({ database, artifacts, clock }).run(signal);
    await sweep();
    assert.equal((await Array.fromAsync(artifacts.list())).length, 3);
    if (artifacts instanceof ArtifactFolder) {
      const oldSeconds = nowMs / 1_000 - 8 * 86_400;
      for (const { sha256 } of [named, unnamed])
        await utimes(join(folder, sha256.slice(0, 2), sha256), oldSeconds, oldSeconds);
    } else {
      nowMs += 8 * dayMs;
      await put('again');
    }
    await sweep();
    const left = (await Array.fromAsync(artifacts.list())).map(({ sha256 }) => sha256);
    assert.deepEqual(left.toSorted(), [named.sha256, again.sha256].toSorted());
  }
});
