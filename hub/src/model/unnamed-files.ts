// Sealed files that no release names: the hub ended between the file and its row, or the release was begun again with other bytes.
import type { ArtifactStore } from '../artifact/artifact-store.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import { asHub } from '../store/authority.ts';
import type { Database } from '../store/database.ts';

const everyMilliseconds = 3_600_000;
/** An upload that is about to name its file takes moments; a week leaves time to look at what an accident left. */
const KEPT_MS = 7 * 86_400_000;
const FILES_AT_ONCE = 200;

export interface UnnamedFilesDependencies {
  readonly database: Pick<Database, 'read'>;
  readonly artifacts: Pick<ArtifactStore, 'list' | 'remove'>;
  readonly clock: Clock;
}

/** On each node, because each may have a folder of its own. */
export function unnamedFiles({ database, artifacts, clock }: UnnamedFilesDependencies): Job {
  return {
    name: 'unnamed-files',
    summary: 'removes sealed files that no release has named for a week',
    everyMilliseconds,
    runsOn: 'every-node',
    async run(signal) {
      const beforeMs = clock() - KEPT_MS;
      const removeUnnamed = async (some: readonly string[]) => {
        if (some.length === 0) return;
        const rows = await database.read
          .selectFrom('model_file')
          .select('sealed_sha256')
          .where('sealed_sha256', 'in', some)
          .execute();
        const named = new Set(rows.map((row) => row.sealed_sha256));
        for (const sha256 of some.filter((each) => !named.has(each)))
          await asHub(() => artifacts.remove(sha256, beforeMs));
      };
      let old: string[] = [];
      for await (const { sha256, storedAtMs } of artifacts.list()) {
        if (signal.aborted) return;
        if (storedAtMs < beforeMs) old.push(sha256);
        if (old.length < FILES_AT_ONCE) continue;
        await removeUnnamed(old);
        old = [];
      }
      await removeUnnamed(old);
    },
  };
}
