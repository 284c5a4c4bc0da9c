import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, chown, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { groupAndOthers, readPrivateFile, writableByOthers } from './private-file.ts';

let folder: string;
const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'a second user takes root' };
const rules = { maxBytes: 16, forbidden: groupAndOthers };
const read = (name: string, own: Partial<typeof rules & { followsLinks: boolean }> = {}) =>
  readPrivateFile(join(folder, name), { ...rules, ...own }, (problem, options) => new Error(problem, options));

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-private-'));
  await writeFile(join(folder, 'key'), 'sixteen bytes...', { mode: 0o600 });
});
after(() => rm(folder, { recursive: true, force: true }));

test('a file of this user alone is read, and one that is missing is undefined', async () => {
  assert.equal((await read('key'))?.toString(), 'sixteen bytes...');
  assert.equal(await read('nothing'), undefined);
});

test('a mode that lets others in is refused, by each bit that is forbidden', async () => {
  for (const mode of [0o640, 0o620, 0o610, 0o604, 0o602, 0o601]) {
    await chmod(join(folder, 'key'), mode);
    await assert.rejects(read('key'), /other users may read or change it/, mode.toString(8));
  }
  await chmod(join(folder, 'key'), 0o644);
  assert.notEqual(await read('key', { forbidden: writableByOthers }), undefined);
  await chmod(join(folder, 'key'), 0o600);
});

test('a file of another user is refused, though nobody else may read it', needsRoot, async () => {
  await writeFile(join(folder, 'theirs'), 'x', { mode: 0o600 });
  await chown(join(folder, 'theirs'), 65534, 65534);
  await assert.rejects(read('theirs'), /belongs to another user/);
});

test('a link is refused unless the caller follows links; what it leads to is judged all the same', async () => {
  await symlink(join(folder, 'key'), join(folder, 'link'));
  await assert.rejects(read('link'), /cannot be opened/);
  assert.notEqual(await read('link', { followsLinks: true }), undefined);
  await chmod(join(folder, 'key'), 0o640);
  await assert.rejects(read('link', { followsLinks: true }), /other users/);
  await chmod(join(folder, 'key'), 0o600);
});

test('a folder, a pipe and a file that is too long are refused, and nothing waits for the other end of a pipe', async () => {
  assert.equal(spawnSync('mkfifo', ['-m', '600', join(folder, 'pipe')]).status, 0);
  await assert.rejects(read('pipe'), /not a file/);
  await assert.rejects(read('.'), /not a file/);
  await assert.rejects(read('key', { maxBytes: 15 }), /16 bytes, at most 15/);
});
