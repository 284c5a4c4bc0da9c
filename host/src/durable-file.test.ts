import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { replaceFile, writeFileOnce, writeNewFile } from './durable-file.ts';

let folder: string;
const at = (name: string) => join(folder, name);
const modeOf = async (name: string) => (await stat(at(name))).mode & 0o777;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-durable-'));
});
after(() => rm(folder, { recursive: true, force: true }));

test('a file is replaced whole, and from then on only its owner may read it', async () => {
  await writeFile(at('state'), 'much longer than what comes', { mode: 0o644 });
  await replaceFile(at('state'), 'new');
  assert.equal(await readFile(at('state'), 'utf8'), 'new');
  assert.equal(await modeOf('state'), 0o600);
  assert.deepEqual(await readdir(folder), ['state']);
});

test('what a crash left, or another put, at the temporary name is not written into', async () => {
  await writeFile(at('victim'), 'untouched');
  await symlink(at('victim'), at('state.new'));
  await replaceFile(at('state'), 'newer');
  assert.equal(await readFile(at('victim'), 'utf8'), 'untouched');
  assert.equal(await readFile(at('state'), 'utf8'), 'newer');
});

test('a new file is never written over one that is there, a dangling link included', async () => {
  await writeNewFile(at('key'), 'first');
  await assert.rejects(writeNewFile(at('key'), 'second'), { code: 'EEXIST' });
  assert.equal(await readFile(at('key'), 'utf8'), 'first');
  assert.equal(await modeOf('key'), 0o600);
  await symlink(at('nowhere'), at('dangling'));
  await assert.rejects(writeNewFile(at('dangling'), 'x'), { code: 'EEXIST' });
});

test('a new file that was not written whole is not left in the way of the next attempt', async () => {
  // Node iterates over the proxy, and fails at its first number: after the file was made.
  const broken = new Proxy(Buffer.from('key'), {});
  await assert.rejects(writeNewFile(at('cut'), broken));
  assert.ok(!(await readdir(folder)).includes('cut'));
});

test('of several writers at one time exactly one makes the file, and no temporary name stays', async () => {
  const wrote = await Promise.all(['a', 'b', 'c', 'd'].map((text) => writeFileOnce(at('once'), text)));
  assert.equal(wrote.filter(Boolean).length, 1);
  assert.match(await readFile(at('once'), 'utf8'), /^[abcd]$/);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('once')),
    ['once'],
  );
  assert.equal(await writeFileOnce(at('once'), 'later'), false);
});
