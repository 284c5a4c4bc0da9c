// Removes the objects of files that ended: uploads that nobody went on with, files that were sent twice or removed. It looks at rows alone, so that
// an object of somebody else in the bucket, which a listing would show, is never removed.
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import { endedBefore, endOldUploads, folderOf, forgetFile, keyOf, partsOf } from './artifact-rows.ts';
import { UPLOAD_KEPT_MS } from './artifact-store.ts';
import type { Bucket } from './bucket.ts';

const everyMilliseconds = 600_000;
/** Downloads that began before have ended by then, and a request that was fenced off has stored its last part. */
const ENDED_KEPT_MS = 3_600_000;
const FILES_AT_ONCE = 50;
const ours = /^models\/[0-9a-f]{32}\/\d{6}-[0-9a-f]{64}$/;

export interface CleanUpDependencies {
  readonly database: Pick<Database, 'read' | 'writeAsHub'>;
  readonly bucket: Bucket;
  readonly clock: Clock;
}

export function artifactCleanUp(dependencies: CleanUpDependencies): Job {
  const { database, clock } = dependencies;
  return {
    name: 'artifact-clean-up',
    summary: 'removes what is left in the bucket of uploads that broke off and of files that were replaced',
    everyMilliseconds,
    runsOn: 'one-node',
    async run(signal) {
      const nowMs = clock();
      await database.writeAsHub((trx) => endOldUploads(trx, nowMs - UPLOAD_KEPT_MS, nowMs));
      while (!signal.aborted) {
        const ended = await endedBefore(database.read, nowMs - ENDED_KEPT_MS, FILES_AT_ONCE);
        for (const id of ended) await removeFile(dependencies, id);
        if (ended.length < FILES_AT_ONCE) return;
      }
    },
  };
}

// The objects first: a row without objects is tried again, objects without a row would stay for ever.
async function removeFile({ database, bucket }: CleanUpDependencies, id: string): Promise<void> {
  const known = (await partsOf(database.read, id)).map((part) => keyOf(id, part));
  const keys = new Set(known);
  // Objects of parts that others took the place of.
  for await (const { key } of bucket.list(folderOf(id)))
    if (ours.test(key) && key.startsWith(folderOf(id))) keys.add(key);
  for (const key of keys) await bucket.remove(key);
  await database.writeAsHub((trx) => forgetFile(trx, id));
}
