// Files that are there twice: every way to lose one of the two, and both.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { copyOf, readEither, removeBoth, replaceBoth, setBothAside } from './two-copies.ts';

async function fileIn(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-two-'));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, 'count');
}

/** The whole file is one number. */
const parse = (bytes: Uint8Array): number => {
  const text = Buffer.from(bytes).toString('utf8');
  if (!/^\d+$/.test(text)) throw new TypeError('no number');
  return Number(text);
};
const read = (path: string) => readEither(path, { parse, isNewer: (copy, file) => copy > file });
/** An emptied, zeroed, truncated, garbled and prolonged file. */
const spoiled = ['', '\0\0\0\0', '1x', '\ufffd\u0001', '12 '];

test('each way to lose one of the two leaves the other, and both are whole afterwards', async (t) => {
  const path = await fileIn(t);
  await replaceBoth(path, Buffer.from('1234'));
  const [file, copy] = [await readFile(path), await readFile(copyOf(path))];
  for (const text of [...spoiled, copy.subarray(0, 40), Buffer.concat([copy, Buffer.from('1')])]) {
    await writeFile(path, text);
    assert.deepEqual(await read(path), { kind: 'found', value: 1234, repaired: true });
    await writeFile(copyOf(path), text);
    assert.deepEqual(await read(path), { kind: 'found', value: 1234, repaired: false });
    assert.deepEqual([await readFile(path), await readFile(copyOf(path))], [file, copy]);
  }
  await rm(path);
  assert.deepEqual(await read(path), { kind: 'found', value: 1234, repaired: true });
});

test('a second copy whose bytes are not those of its digest is not taken', async (t) => {
  const path = await fileIn(t);
  await replaceBoth(path, Buffer.from('1234'));
  const copy = await readFile(copyOf(path), 'utf8');
  await writeFile(path, '');
  await writeFile(copyOf(path), copy.replace('1234', '1235'));
  assert.equal((await read(path)).kind, 'damaged');
});

test('a copy that the disk cannot give any more is damaged, and the other is taken; a file of others is refused', async (t) => {
  const path = await fileIn(t);
  const failing = (bad: string, failure: Error) =>
    readEither(path, {
      parse,
      read: async (each) => {
        if (each === bad) throw failure;
        return readFile(each);
      },
    });
  const bad = (code: string) => Object.assign(new Error(code), { code, syscall: 'read' });
  for (const code of ['EIO', 'EBADMSG', 'Unknown system error -117']) {
    await replaceBoth(path, Buffer.from('1234'));
    assert.deepEqual(await failing(path, bad(code)), { kind: 'found', value: 1234, repaired: true });
    assert.deepEqual(await failing(copyOf(path), bad(code)), { kind: 'found', value: 1234, repaired: false });
    const opened = new TypeError('it cannot be opened', { cause: bad(code) });
    assert.deepEqual(await failing(path, opened), { kind: 'found', value: 1234, repaired: true });
  }
  await assert.rejects(failing(path, bad('EACCES')), { code: 'EACCES' });
  await assert.rejects(failing(copyOf(path), new TypeError('other users may read it')), /other users/);
});

test('both lost is not the same as neither there', async (t) => {
  const path = await fileIn(t);
  assert.deepEqual(await read(path), { kind: 'none' });
  for (const text of spoiled) {
    await writeFile(path, text);
    assert.equal((await read(path)).kind, 'damaged', text);
    await writeFile(copyOf(path), text);
    assert.equal((await read(path)).kind, 'damaged', text);
    await rm(path);
    assert.equal((await read(path)).kind, 'damaged', text);
    await rm(copyOf(path));
  }
});

test('power that fails between the two leaves the one that was there before, or the new one', async (t) => {
  const path = await fileIn(t);
  await replaceBoth(path, Buffer.from('1'));
  const before = await readFile(path);
  await replaceBoth(path, Buffer.from('2'));
  // The second copy is written first.
  await writeFile(path, before);
  assert.deepEqual(await read(path), { kind: 'found', value: 2, repaired: false });
  // A program of the version before writes the file alone.
  await writeFile(path, '3');
  assert.deepEqual(await read(path), { kind: 'found', value: 3, repaired: false });
  await writeFile(path, '');
  assert.deepEqual(await read(path), { kind: 'found', value: 3, repaired: true });
});

test('both are removed or moved out of the way together', async (t) => {
  const path = await fileIn(t);
  await replaceBoth(path, Buffer.from('1'));
  await removeBoth(path);
  assert.deepEqual(await read(path), { kind: 'none' });
  await replaceBoth(path, Buffer.from('2'));
  await setBothAside(path);
  assert.deepEqual(await readdir(join(path, '..')), ['count.damaged']);
});
