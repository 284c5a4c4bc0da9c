// Power cuts: the log is stopped at each of its file operations in turn, and opened again.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { verifyConsistency } from '@edgekeep/core/audit/merkle';
import { diskFiles, type LogFiles } from './files.ts';
import { type MemoryStore, opened, type LogDependencies, world } from './testing-log.ts';
import { AuditLog } from './log.ts';
import type { CheckpointStore } from './log-store.ts';

let scratch = '';
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'edgekeep-crash-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

// SECURITY.md: HUB-32
test('a crash between any two file operations leaves a log that opens, loses nothing and keeps every promise', async () => {
  let crashes = 0;
  for (let survived = false, at = 0; !survived; at += 1) {
    const { store, dependencies } = world(join(scratch, `crash-${at}`));
    const promised: Uint8Array[] = [];
    store.onSave = (note) => promised.push(note);
    survived = await crashAfter(at, store, dependencies);
    if (!survived) crashes += 1;

    const log = await AuditLog.open(dependencies);
    store.grow(700);
    await log.integrated(699);
    const head = opened(log.checkpoint(), log);
    for (const checkpoint of promised) {
      const { size, root } = opened(checkpoint, log);
      if (size === 0) continue;
      const proof = await log.consistency(size, head.size);
      assert.ok(
        verifyConsistency({ from: size, fromRoot: root, to: head.size, toRoot: head.root, proof }),
        `crash at operation ${at}: the checkpoint of ${size} entries was abandoned`,
      );
    }
    await log[Symbol.asyncDispose]();
    assert.deepEqual(await folderOf(dependencies.folder), await expectedFolder(), `crash at operation ${at}`);
    await rm(dependencies.folder, { recursive: true });
  }
  assert.ok(crashes > 40, `only ${crashes} operations were there to crash at`);
});

/** Runs a log until operation number `at` fails; every later operation fails too, as when the machine loses power. */
async function crashAfter(at: number, store: MemoryStore, dependencies: LogDependencies): Promise<boolean> {
  let left = at;
  const mortal = <A extends readonly unknown[], R>(operation: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      if (left-- <= 0) throw new Error('power cut');
      return operation(...args);
    };
  };
  const files: LogFiles = {
    read: mortal((path) => diskFiles.read(path)),
    makeFolder: mortal((path) => diskFiles.makeFolder(path)),
    write: async (path, bytes) => {
      // The power cut comes in the middle of the write: half a file is left.
      if (left-- <= 0) {
        await writeFile(path, bytes.subarray(0, bytes.length >> 1)).catch(() => undefined);
        throw new Error('power cut');
      }
      await diskFiles.write(path, bytes);
    },
    syncFolder: mortal((path) => diskFiles.syncFolder(path)),
    rename: mortal((from, to) => diskFiles.rename(from, to)),
    removeFolder: mortal((path) => diskFiles.removeFolder(path)),
  };
  const save = mortal((note: Uint8Array) => store.save(note, () => false));
  const checkpoints: CheckpointStore = { latest: () => store.latest(), save };
  try {
    const log = await AuditLog.open({ ...dependencies, files, checkpoints });
    for (const size of [200, 520]) {
      store.grow(size);
      await log.integrated(size - 1);
    }
    await log[Symbol.asyncDispose]();
    return left >= 0;
  } catch {
    return false;
  }
}

let expected: Promise<ReadonlyMap<string, string>> | undefined;
function expectedFolder(): Promise<ReadonlyMap<string, string>> {
  expected ??= (async () => {
    const { store, dependencies } = world(join(scratch, 'expected'));
    const log = await AuditLog.open(dependencies);
    store.grow(700);
    await log.integrated(699);
    await log[Symbol.asyncDispose]();
    return folderOf(dependencies.folder);
  })();
  return expected;
}

/** Every file but partial tiles of earlier checkpoints, which a crash may leave behind (tlog-tiles allows it). */
async function folderOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    if (/\.p\/(?!(188|2)$)/.test(name)) continue;
    files.set(name, (await readFile(path)).toString('base64'));
  }
  return new Map([...files].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
