import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { initHub } from '../commands/init.ts';
import { loadHubKeys } from './hub-keys.ts';
import { parseHubSettings } from '../settings.ts';
import { backUpHub } from './backup.ts';
import { isBackupPath } from './backup-parts.ts';
import { openSealed } from './open-keys.ts';
import { plainKeyNames } from './plain-keys.ts';
import { rekey } from './rekey.ts';
import { restoreHub } from './restore.ts';
import type { NewUnlocker } from './unlock.ts';

const refused = { code: 'backup-refused' };

interface MadeBackup {
  readonly folder: string;
  readonly data: string;
  readonly file: string;
  readonly secret: Uint8Array;
}

async function madeHub(t: TestContext, unlockers?: readonly NewUnlocker[]): Promise<MadeBackup> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-backup-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const data = join(folder, 'hub');
  const secret = randomBytes(32);
  await initHub(data, {
    rootFolder: join(folder, 'root'),
    settings: parseHubSettings({}, 'test'),
    nowMs: Date.now(),
    unlockers: unlockers ?? [{ kind: 'program', secret }],
  });
  return { folder, data, file: join(folder, 'backup'), secret };
}

test('an older backup is never written over: the file is named and kept', async (t) => {
  const { data, file } = await madeHub(t);
  await writeFile(file, 'of yesterday');
  await assert.rejects(backUpHub({ folder: data, file, plain: false, blobs: false }), {
    ...refused,
    message: `${file} exists already: give another name`,
  });
  assert.equal(await readFile(file, 'utf8'), 'of yesterday');
});

test('a restored folder holds what was backed up, byte for byte, and opens with the same unlocker', async (t) => {
  const { folder, data, file, secret } = await madeHub(t);
  const evidence = `evidence/ab/${'ab'.repeat(32)}`;
  await mkdir(join(data, 'evidence/ab'), { recursive: true });
  const roots = ['vendor-roots/tpm.pem', 'dice-roots/chip.pem', evidence];
  for (const name of roots) await writeFile(join(data, name), name);
  const made = await backUpHub({ folder: data, file, plain: false, blobs: false });
  const restored = join(folder, 'restored');
  assert.equal(await restoreHub(file, restored, 'unsigned'), made);
  for (const name of ['hub.json', 'keys/sealed.json', 'keys/root.pem', 'keys/issuing.pem', ...roots]) {
    assert.deepEqual(await readFile(join(restored, name)), await readFile(join(data, name)), name);
  }
  await using store = await openSealed(join(restored, 'keys'), { kind: 'program', secret });
  assert.equal((await loadHubKeys(restored, store)).platformKey.newest, 1);
  assert.deepEqual((await readdir(folder)).toSorted(), ['backup', 'hub', 'restored', 'root']);
});

test('the keys of a plain hub are backed up on express demand only', async (t) => {
  const { data, file } = await madeHub(t, []);
  await assert.rejects(backUpHub({ folder: data, file, plain: false, blobs: false }), refused);
  await assert.rejects(readFile(file), { code: 'ENOENT' });
  assert.ok((await backUpHub({ folder: data, file, plain: true, blobs: false })) > 5);
});

test('a backup that was changed, cut short or lengthened anywhere is refused and leaves nothing', async (t) => {
  const { folder, data, file } = await madeHub(t);
  await backUpHub({ folder: data, file, plain: false, blobs: false });
  const bytes = await readFile(file);
  const damaged = join(folder, 'damaged');
  const target = join(folder, 'target');
  const flipped = (at: number) => Buffer.from(bytes).fill((bytes[at] ?? 0) ^ 1, at, at + 1);
  const places = Array.from({ length: 24 }, (_, step) => Math.floor((step * (bytes.length - 1)) / 23));
  const bad = [
    ...places.map(flipped),
    ...places.slice(0, -1).map((at) => bytes.subarray(0, at)),
    Buffer.concat([bytes, bytes]),
  ];
  for (const each of bad) {
    await writeFile(damaged, each);
    await assert.rejects(restoreHub(damaged, target, 'unsigned'), refused);
    assert.deepEqual(existsSync(target) ? await readdir(target) : [], []);
  }
});

/** Two backups of the same length that differ in the program they name. */
async function twoBackups(t: TestContext) {
  const { folder, data, file } = await madeHub(t);
  const settings: object = JSON.parse(await readFile(join(data, 'hub.json'), 'utf8'));
  const naming = async (program: string, to: string) => {
    await writeFile(join(data, 'hub.json'), JSON.stringify({ ...settings, unlockProgram: [program] }));
    await backUpHub({ folder: data, file: to, plain: false, blobs: false });
  };
  const other = join(folder, 'other');
  await naming('/bin/good', file);
  await naming('/bin/evil', other);
  return { file, other, target: join(folder, 'target') };
}

test('a backup that names a program is restored on express agreement only', async (t) => {
  const { file, target } = await twoBackups(t);
  await assert.rejects(restoreHub(file, target, 'unsigned'), refused);
  await assert.rejects(readdir(target), { code: 'ENOENT' });
  const shown: (readonly string[])[] = [];
  await restoreHub(file, target, 'unsigned', async ({ unlockProgram }) => void shown.push(unlockProgram));
  assert.deepEqual(shown, [['/bin/good']]);
});

// SECURITY.md: HUB-56
test('a backup that is written over between the look at it and its restoring is refused', async (t) => {
  const { file, other, target } = await twoBackups(t);
  const evil = await readFile(other);
  const why = /hub\.json was changed while it was restored/;
  await assert.rejects(
    restoreHub(file, target, 'unsigned', async () => writeFile(file, evil)),
    { ...refused, message: why },
  );
  assert.deepEqual(await readdir(target), []);
});

test('a backup that is put in the place of the one looked at is not the one restored', async (t) => {
  const { file, other, target } = await twoBackups(t);
  await restoreHub(file, target, 'unsigned', async () => rename(other, file));
  assert.match(await readFile(join(target, 'hub.json'), 'utf8'), /\/bin\/good/);
});

test('a folder that is not empty is not restored into', async (t) => {
  const { folder, data, file } = await madeHub(t);
  await backUpHub({ folder: data, file, plain: false, blobs: false });
  await mkdir(join(folder, 'target'));
  await writeFile(join(folder, 'target', 'precious'), '');
  await assert.rejects(restoreHub(file, join(folder, 'target'), 'unsigned'), refused);
  assert.deepEqual(await readdir(join(folder, 'target')), ['precious']);
});

test('no path in a backup leads out of the data folder', () => {
  for (const path of ['hub.json', 'keys/sealed.json', 'log/tile/0/x001/002.p/3', `blobs/ab/${'ab'.repeat(32)}`]) {
    assert.ok(isBackupPath(path), path);
  }
  for (const path of [
    '',
    '/hub.json',
    '../hub.json',
    'keys/../hub.json',
    'keys/a/b',
    'log/..',
    'log//a',
    'log/.x',
    'a.js',
    'keys\\x',
    'log/\0',
  ]) {
    assert.ok(!isBackupPath(path), path);
  }
});

test('a plain hub is sealed: the same keys, and no plain file is left', async (t) => {
  const { data, secret } = await madeHub(t, []);
  const before = await loadHubKeys(data);
  const added: NewUnlocker[] = [{ kind: 'program', secret }];
  assert.deepEqual(await rekey(data, { added, removed: new Set() }, undefined), ['program-1']);
  assert.deepEqual(await plainKeyNames(join(data, 'keys')), []);
  await assert.rejects(loadHubKeys(data), { code: 'keys-locked' });
  await using store = await openSealed(join(data, 'keys'), { kind: 'program', secret });
  const after = await loadHubKeys(data, store);
  assert.deepEqual(after.platformKey.key(1), before.platformKey.key(1));
  assert.ok(after.logSigner.publicKey.equals(before.logSigner.publicKey));
});

test('when all unlockers are replaced, an old copy of the file opens nothing of the new one', async (t) => {
  const { data, secret } = await madeHub(t);
  const keys = join(data, 'keys');
  const old = await openSealed(keys, { kind: 'program', secret: Uint8Array.from(secret) });
  const added: NewUnlocker[] = [{ kind: 'program', secret: randomBytes(32) }];
  const offer = { kind: 'program', secret: Uint8Array.from(secret) } as const;
  await assert.rejects(rekey(data, { added: [], removed: new Set(['program-1']) }, offer), { code: 'request-invalid' });
  const again = { kind: 'program', secret: Uint8Array.from(secret) } as const;
  await rekey(data, { added, removed: new Set(['program-1']) }, again);
  await assert.rejects(old.read('platform.key'), { code: 'sealed-keys-invalid' });
  await assert.rejects(openSealed(keys, { kind: 'program', secret }), { code: 'unlock-refused' });
});
