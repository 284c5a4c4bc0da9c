import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { readPassword } from './password-file.ts';

async function written(t: TestContext, content: string, mode = 0o600): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-password-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'password');
  await writeFile(file, content);
  await chmod(file, mode);
  return file;
}

test('a password is one line, or bytes after hex:, without the zeros at its end', async (t) => {
  const read = async (content: string) => Buffer.from(await readPassword(await written(t, content))).toString('latin1');
  assert.equal(await read('correct horse\r\n'), 'correct horse');
  assert.equal(await read('hex:00ff4100'), '\0\u00ffA');
});

test('no file, an empty one, several lines, too long, no digits, or open to others is refused by name', async (t) => {
  const refused = { code: 'tpm-password-unreadable' };
  for (const content of ['', '\n', 'one\ntwo\n', 'x'.repeat(65), 'hex:xy'])
    await assert.rejects(readPassword(await written(t, content)), refused, content);
  await assert.rejects(readPassword(await written(t, 'open', 0o644)), refused);
  await assert.rejects(readPassword(join(tmpdir(), 'no-such-password')), refused);
});
