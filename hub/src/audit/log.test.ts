import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { leafHash, verifyConsistency } from '@edgekeep/core/audit/merkle';
import type { NoteSigner } from '@edgekeep/core/audit/note';
import { verifyTlogProof } from '@edgekeep/core/audit/proof';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import { signerFromKey } from '@edgekeep/core/signer';
import { diskFiles, type LogFiles } from './files.ts';
import { AuditLog, type CheckpointStore, type EntrySource, type LoggedEntry } from './log.ts';

const signer: NoteSigner = { name: 'log.example/edgekeep', signer: signerFromKey(ed25519Key(1)) };
const noWitnesses = witnessPolicy([], 0);
let scratch = '';
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'edgekeep-log-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

test('every entry is proven under the latest checkpoint and under every earlier one that holds it', async () => {
  const { store, parts } = world('proofs');
  await using log = await AuditLog.open(parts);
  const checkpoints: Uint8Array[] = [];
  for (const size of [1, 3, 256, 257, 600]) {
    store.grow(size);
    await log.integrated(size - 1);
    checkpoints.push(log.checkpoint());
  }
  for (const checkpoint of checkpoints) {
    const { size } = opened(checkpoint, log);
    for (const index of [0, size >> 1, size - 1]) {
      const verdict = verifyTlogProof(await log.proofFor(index, checkpoint), hashAt(index), log.key, noWitnesses);
      assert.equal(verdict.kind, 'verified', `entry ${index} of ${size}`);
    }
  }
});

test('two checkpoints of the log are consistent, and the proof from nothing is empty', async () => {
  const { store, parts } = world('consistency');
  await using log = await AuditLog.open(parts);
  store.grow(300);
  await log.integrated(299);
  const old = opened(log.checkpoint(), log);
  store.grow(1000);
  await log.integrated(999);
  const head = opened(log.checkpoint(), log);
  const proof = await log.consistency(old.size);
  const claim = { from: old.size, fromRoot: old.root, to: head.size, toRoot: head.root, proof };
  assert.ok(verifyConsistency(claim));
  assert.deepEqual(await log.consistency(0), []);
  await assert.rejects(log.consistency(5, 1001), { code: 'not-found' });
  await assert.rejects(log.proofFor(1000), { code: 'not-found' });
});

test('a log of 70,000 entries has the tiles that tlog-tiles names in its example', async () => {
  const { store, parts } = world('example');
  store.grow(70_000);
  await using log = await AuditLog.open(parts);
  assert.equal(log.size, 70_000);
  const level0 = await readdir(join(parts.folder, 'tile/0'));
  assert.equal(level0.filter((name) => /^[0-9]{3}$/.test(name)).length, 273);
  assert.ok((await readdir(join(parts.folder, 'tile/0/273.p'))).includes('112'));
  assert.deepEqual((await readdir(join(parts.folder, 'tile/1'))).toSorted(), ['000', '001.p']);
  assert.ok((await readdir(join(parts.folder, 'tile/1/001.p'))).includes('17'));
  assert.ok((await readdir(join(parts.folder, 'tile/2/000.p'))).includes('1'));
});

test('partial tiles go once the full tile is published', async () => {
  const { store, parts } = world('partials');
  await using log = await AuditLog.open(parts);
  for (const size of [10, 200, 300]) {
    store.grow(size);
    await log.integrated(size - 1);
  }
  await log.publishCosigned(log.checkpoint());
  assert.deepEqual((await readdir(join(parts.folder, 'tile/0'))).toSorted(), ['000', '001.p']);
  assert.deepEqual((await readdir(join(parts.folder, 'tile/entries'))).toSorted(), ['000', '001.p']);
});

test('a reopened log goes on where it stopped, with the same checkpoint', async () => {
  const { store, parts } = world('reopened');
  store.grow(500);
  {
    await using log = await AuditLog.open(parts);
    assert.equal(log.size, 500);
  }
  const published = await readFile(join(parts.folder, 'checkpoint'));
  await using again = await AuditLog.open(parts);
  assert.deepEqual(Buffer.from(again.checkpoint()), published);
  store.grow(700);
  await again.integrated(699);
  assert.equal(again.size, 700);
});

test('an empty log has a checkpoint of the empty tree', async () => {
  const { parts } = world('empty');
  await using log = await AuditLog.open(parts);
  assert.equal(opened(log.checkpoint(), log).size, 0);
});

test('a log whose history was rewritten does not open', async (t) => {
  const { store, parts } = world('rewritten');
  store.grow(600);
  {
    await using log = await AuditLog.open(parts);
    assert.equal(log.size, 600);
  }
  const refuses = (altered: Partial<typeof parts>) =>
    assert.rejects(AuditLog.open({ ...parts, ...altered }), { code: 'log-rewritten' });

  await t.test('an entry changed', () => refuses({ source: altered(store, 17, { entry: Buffer.from('other') }) }));
  await t.test('an entry and its stored hash changed', () => {
    const entry = Buffer.from('other');
    return refuses({ source: altered(store, 590, { entry, leafHash: leafHash(entry) }) });
  });
  await t.test('the same, with the tiles removed', async () => {
    const folder = join(scratch, 'rewritten-no-tiles');
    await cp(parts.folder, folder, { recursive: true });
    await rm(join(folder, 'tile'), { recursive: true });
    const entry = Buffer.from('other');
    return refuses({ folder, source: altered(store, 590, { entry, leafHash: leafHash(entry) }) });
  });
  await t.test('the last entries cut off', () =>
    refuses({ source: { size: async () => 599, read: (from, to) => store.read(from, to) } }),
  );
  await t.test('the store rolled back to before its last checkpoint', () =>
    refuses({ checkpoints: { latest: async () => undefined, save: async () => undefined } }),
  );
  await t.test('the checkpoint signed by another key', () =>
    refuses({ signer: { ...signer, signer: signerFromKey(ed25519Key(2)) } }),
  );
  await t.test('a published full tile altered', async () => {
    const folder = join(scratch, 'rewritten-tile');
    await cp(parts.folder, folder, { recursive: true });
    await writeFile(join(folder, 'tile/0/000'), Buffer.alloc(8192));
    return refuses({ folder });
  });
});

test('a crash between any two file operations leaves a log that opens, loses nothing and keeps every promise', async () => {
  let crashes = 0;
  for (let survived = false, at = 0; !survived; at += 1) {
    const { store, parts } = world(`crash-${at}`);
    const promised: Uint8Array[] = [];
    store.onSave = (note) => promised.push(note);
    survived = await crashAfter(at, store, parts);
    if (!survived) crashes += 1;

    const log = await AuditLog.open(parts);
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
    assert.deepEqual(await folderOf(parts.folder), await expectedFolder(), `crash at operation ${at}`);
    await rm(parts.folder, { recursive: true });
  }
  assert.ok(crashes > 40, `only ${crashes} operations were there to crash at`);
});

/** Runs a log until operation number `at` fails and with it all that follow, as when the machine loses power. */
async function crashAfter(at: number, store: MemoryStore, parts: Parts): Promise<boolean> {
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
      // The cut comes in the middle of the write: half a file is left.
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
  const checkpoints: CheckpointStore = { latest: () => store.latest(), save: mortal((note) => store.save(note)) };
  try {
    const log = await AuditLog.open({ ...parts, files, checkpoints });
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
    const { store, parts } = world('crash-expected');
    const log = await AuditLog.open(parts);
    store.grow(700);
    await log.integrated(699);
    await log[Symbol.asyncDispose]();
    return folderOf(parts.folder);
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

interface MemoryStore extends EntrySource, CheckpointStore {
  onSave: (note: Uint8Array) => void;
  grow(size: number): void;
}
type Parts = Parameters<typeof AuditLog.open>[0];

function world(name: string): { store: MemoryStore; parts: Parts } {
  let size = 0;
  let saved: Uint8Array | undefined;
  const store: MemoryStore = {
    onSave: () => undefined,
    grow: (to) => {
      size = to;
    },
    size: async () => size,
    read: async (from, to) => Array.from({ length: to - from }, (_, at) => entryAt(from + at)),
    latest: async () => saved,
    save: async (note) => {
      saved = note;
      store.onSave(note);
    },
  };
  return { store, parts: { source: store, checkpoints: store, folder: join(scratch, name), signer } };
}

function altered(store: EntrySource, index: number, change: Partial<LoggedEntry>): EntrySource {
  return {
    size: () => store.size(),
    read: async (from, to) =>
      (await store.read(from, to)).map((entry, at) => (from + at === index ? { ...entry, ...change } : entry)),
  };
}

function entryAt(index: number): LoggedEntry {
  const entry = Buffer.from(`entry ${index}`);
  return { entry, leafHash: leafHash(entry) };
}

function hashAt(index: number): Uint8Array {
  return entryAt(index).leafHash;
}

function opened(checkpoint: Uint8Array, log: AuditLog) {
  const verdict = openCheckpoint(checkpoint, log.key);
  assert.equal(verdict.kind, 'verified');
  return verdict.kind === 'verified' ? verdict.checkpoint : assert.fail();
}

function ed25519Key(seed: number) {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
  return createPrivateKey({ key: Buffer.concat([prefix, Buffer.alloc(32, seed)]), format: 'der', type: 'pkcs8' });
}
