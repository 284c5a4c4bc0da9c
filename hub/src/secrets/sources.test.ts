import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isInside, parseUnlockerOrders, programOf } from './orders.ts';
import { coreDumpWarning } from './process.ts';
import { readSecretLine } from './terminal.ts';

async function fileWith(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-sources-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'file'), text);
  return join(folder, 'file');
}

test('a passphrase is the first line of a descriptor, without its end; too long a line is refused', async (t) => {
  const read = async (text: string) => {
    const descriptor = openSync(await fileWith(t, text), 'r');
    try {
      return await readSecretLine(descriptor);
    } finally {
      closeSync(descriptor);
    }
  };
  assert.equal(await read('five words\nand more'), 'five words');
  assert.equal(await read('no end'), 'no end');
  assert.equal(await read(''), '');
  await assert.rejects(read('x'.repeat(10_000)), { code: 'unlock-refused' });
  await assert.rejects(readSecretLine(9_999), { code: 'unlock-refused' });
});

test('words that name no unlocker, impossible numbers and none beside another are refused', async () => {
  const sources = { dataFolder: '/data', shareFolder: '/elsewhere', unlockProgram: [] };
  for (const word of ['', 'pass', 'shares', 'shares:1/2', 'shares:3/2', 'shares:2/17', 'shares:2/3/4', 'shares:-2/3']) {
    await assert.rejects(parseUnlockerOrders([word], sources), { code: 'request-invalid' }, word);
  }
  await assert.rejects(parseUnlockerOrders(['none', 'shares:2/3'], sources), { code: 'request-invalid' });
  await assert.rejects(parseUnlockerOrders(['shares:2/3'], { ...sources, shareFolder: '/data/x' }), {
    code: 'request-invalid',
  });
  assert.deepEqual(await parseUnlockerOrders(['none'], sources), []);
  assert.deepEqual(programOf(['passphrase', 'program:/bin/helper a b']), ['/bin/helper', 'a', 'b']);
});

test('a folder is inside itself and inside those above it, and not inside one whose name begins like its own', () => {
  assert.ok(isInside('/a/b', '/a/b') && isInside('/a/b', '/a/b/c/d') && isInside('/a/b', '/a/b/../b/c'));
  assert.ok(!isInside('/a/b', '/a/bc') && !isInside('/a/b', '/a') && !isInside('/a/b', '/a/b/../c'));
  assert.ok(isInside('/a', '/a/..b'));
});

test('a core file limit that lets keys reach the disk, or is not known, gives a warning', async (t) => {
  const limits = (soft: string) =>
    fileWith(t, `Limit   Soft\nMax core file size        ${soft}     unlimited     bytes\n`);
  const [file, collected] = await Promise.all([fileWith(t, 'core\n'), fileWith(t, '|/usr/bin/collect %p\n')]);
  assert.equal(await coreDumpWarning(await limits('0'), file), undefined);
  assert.match((await coreDumpWarning(await limits('0'), collected)) ?? '', /collect/);
  assert.equal(await coreDumpWarning(await limits('1')), undefined);
  assert.match((await coreDumpWarning(await limits('unlimited'))) ?? '', /unlimited/);
  assert.match((await coreDumpWarning('/nonexistent')) ?? '', /not known/);
});
