import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { makeFolder } from './make-folder.ts';

const isRoot = process.getuid?.() === 0;
const otherUser = 65534;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-make-folder-'));
  await chmod(folder, 0o755);
});
after(() => rm(folder, { recursive: true, force: true }));

const unusable = (message: RegExp) => ({ name: 'HostError', code: 'folder-unusable', message });
const literal = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

test('missing parents are made with the same mode, the topmost is returned, and what exists stays as it is', async () => {
  const deep = join(folder, 'a', 'b', 'c');
  assert.equal(await makeFolder(deep, { mode: 0o700 }), join(folder, 'a'));
  for (const each of ['a', 'a/b', 'a/b/c']) assert.equal((await stat(join(folder, each))).mode & 0o777, 0o700, each);
  assert.equal(await makeFolder(deep, { mode: 0o750 }), undefined);
  assert.equal((await stat(deep)).mode & 0o777, 0o700);
});

test('two that make the same folder at the same time both succeed', async () => {
  const deep = join(folder, 'both', 'inner', 'most');
  await Promise.all([makeFolder(deep), makeFolder(deep), makeFolder(deep)]);
  assert.ok((await stat(deep)).isDirectory());
});

// `mkdir` with `recursive` never ends here.
test('a parent that takes no folders ends in an error that names the folder', async () => {
  const inProc = unusable(/^the folder \/proc\/x cannot be made: no folder can be made in \/proc: give another place$/);
  await assert.rejects(makeFolder('/proc/x'), inProc);
  await assert.rejects(makeFolder('/proc/x/y/z'), inProc);
});

test('a file in the way is named, at the end and in the middle, and a link to nothing too', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  await assert.rejects(makeFolder(file), unusable(new RegExp(`^the folder ${literal(file)} .*a file has its name`)));
  await assert.rejects(makeFolder(join(file, 'x')), unusable(new RegExp(`^the folder ${literal(file)}/x .*is a file`)));
  await symlink(join(folder, 'gone'), join(folder, 'link'));
  await assert.rejects(makeFolder(join(folder, 'link')), unusable(/link cannot be made: .*link exists already/));
});

test('a parent that this user may not write is named, with its cause', async () => {
  const closed = join(folder, 'closed');
  await mkdir(closed, { mode: 0o555 });
  if (isRoot) await chown(closed, 0, 0);
  const code = `
    ${isRoot ? `process.setgid(${otherUser}); process.setuid(${otherUser});` : ''}
    await makeFolder(${JSON.stringify(join(closed, 'x', 'y'))}).catch((error) =>
      process.stdout.write([error.code, error.cause.code, error.message].join(' ')));`;
  const program = `import { makeFolder } from ${JSON.stringify(join(import.meta.dirname, 'make-folder.ts'))}; ${code}`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    cwd: '/',
  });
  assert.equal(
    stdout,
    `folder-unusable EACCES the folder ${closed}/x cannot be made: this user may not make ${closed}/x: change its permissions, or start this as the user it belongs to`,
  );
});
