import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { skipWithoutSoftHsm, softHsmModule, testTokens } from '@edgekeep/hardware/pkcs11/testing';

const skip = await skipWithoutSoftHsm();
const main = join(import.meta.dirname, '../main.ts');

function run(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'secrets', ...words]);
  return { status, secret: stdout, said: stderr.toString() };
}

test('a token gives the secret back, each time the same, and no other token does', { skip }, async (t) => {
  await using tokens = await testTokens('hub', 'other');
  const file = join(tokens.folder, 'unlock.json');
  const seal = (path: string, label: string) =>
    run('pkcs11-seal', path, '--module', softHsmModule, '--token', label, '--pin-file', tokens.place(label).pinFile);
  const made = seal(file, 'hub');
  assert.equal(made.status, 0, made.said);
  const first = run('pkcs11-unseal', file);
  assert.deepEqual([first.status, first.secret.length], [0, 32], first.said);
  assert.deepEqual(run('pkcs11-unseal', file).secret, first.secret);
  const text = await readFile(file, 'utf8');

  await t.test('the file holds neither secret nor PIN, and is not overwritten', async () => {
    assert.equal((await stat(file)).mode & 0o077, 0);
    assert.ok(!text.includes(tokens.pin('hub')) && !text.includes(first.secret.toString('base64url')));
    assert.notEqual(seal(file, 'hub').status, 0);
    assert.equal(await readFile(file, 'utf8'), text);
  });

  await t.test(
    'a secret that is sealed to one token does not open in another, even if its file names that one',
    async () => {
      const elsewhere = join(tokens.folder, 'other.json');
      assert.equal(seal(elsewhere, 'other').status, 0);
      const other: { readonly keys: object; readonly pinFile: string } = JSON.parse(await readFile(elsewhere, 'utf8'));
      const pointed = { token: { label: 'other' }, pinFile: other.pinFile };
      const cases = [
        { ...JSON.parse(text), ...pointed },
        { ...JSON.parse(text), ...pointed, keys: other.keys },
      ];
      for (const [at, changed] of cases.entries()) {
        const path = join(tokens.folder, `changed-${at}.json`);
        await writeFile(path, JSON.stringify(changed));
        const refused = run('pkcs11-unseal', path);
        assert.deepEqual([refused.status === 0, refused.secret.length], [false, 0]);
      }
    },
  );

  await t.test('a wrong PIN and a file that is not ours open nothing', async () => {
    const pinFile = join(tokens.folder, 'wrong.pin');
    await writeFile(pinFile, 'not the PIN\n', { mode: 0o600 });
    const changed = join(tokens.folder, 'wrong-pin.json');
    await writeFile(changed, JSON.stringify({ ...JSON.parse(text), pinFile }));
    for (const path of [changed, join(tokens.folder, 'hub.pin'), join(tokens.folder, 'missing')]) {
      const refused = run('pkcs11-unseal', path);
      assert.deepEqual([refused.status === 0, refused.secret.length], [false, 0], path);
    }
  });
});
