import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CoreError } from '@edgekeep/core/error';
import { importLine } from '@edgekeep/wire/api/registry';
import { Manifest, type ManifestLine } from './manifest.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-manifest-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const digest = 'ab'.repeat(32);
const lineOf = (id: string): ManifestLine => ({
  id,
  rootSha256: digest,
  idevidSha256: digest,
  tags: { serial: id.toUpperCase() },
});

test('every line is one that an import takes', async () => {
  const path = join(folder, 'import.ndjson');
  await using manifest = await Manifest.open(path);
  await manifest.append(lineOf('a-1'));
  await manifest.append({ ...lineOf('a-2'), enrollmentGroup: 'lot-17', groups: ['pilot'] });
  const texts = (await readFile(path, 'utf8')).trimEnd().split('\n');
  assert.equal(texts.length, 2);
  for (const text of texts) importLine.parse(JSON.parse(text));
});

test('what was cut off at the end goes, at every place, and what is whole stays', async () => {
  const path = join(folder, 'cut.ndjson');
  const whole = `${JSON.stringify(lineOf('a-1'))}\n`;
  const next = `${JSON.stringify(lineOf('a-2'))}\n`;
  for (let length = 0; length <= next.length; length++) {
    await writeFile(path, whole + next.slice(0, length));
    await using manifest = await Manifest.open(path);
    assert.deepEqual([...manifest.lines.keys()], length === next.length ? ['a-1', 'a-2'] : ['a-1']);
    await manifest.append(lineOf('a-3'));
    const end = `${JSON.stringify(lineOf('a-3'))}\n`;
    assert.equal(await readFile(path, 'utf8'), whole + (length === next.length ? next : '') + end);
  }
});

test('a line that is none refuses the file and leaves it as it is', async () => {
  const path = join(folder, 'other.ndjson');
  for (const text of ['{}\n', 'x\n{"id":', `${JSON.stringify({ ...lineOf('a-1'), more: 1 })}\n`, '\n']) {
    await writeFile(path, text);
    await assert.rejects(Manifest.open(path), CoreError);
    assert.equal(await readFile(path, 'utf8'), text);
  }
});
