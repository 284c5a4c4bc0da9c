import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { HubError } from '../common/error.ts';
import { openSealed } from './open-keys.ts';
import { encodeSealedFile, parseSealedFile, type SealedFile } from './sealed-file.ts';
import { openSealedKeys, readSealedFile, sealedFileName, writeSealedKeys } from './sealed-keys.ts';
import type { Share } from './share.ts';
import type { NewUnlocker, Offer } from './unlock.ts';

const programSecret = randomBytes(32);
const passphrase = 'four words and a half';
const byProgram: NewUnlocker = { kind: 'program', secret: programSecret };
const offerProgram = (): Offer => ({ kind: 'program', secret: Uint8Array.from(programSecret) });
const entries = () =>
  new Map<string, Uint8Array>([
    ['log-key.pem', Buffer.from('a log key')],
    ['platform.key', Buffer.from('a platform key of 32 bytes......')],
  ]);
const invalid = { code: 'sealed-keys-invalid' };
const refused = { code: 'unlock-refused' };

async function sealedFolder(t: TestContext, ...unlockers: readonly NewUnlocker[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-sealed-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeSealedKeys(folder, entries(), unlockers.length === 0 ? [byProgram] : unlockers);
  return folder;
}

async function fileIn(folder: string): Promise<SealedFile> {
  return (await readSealedFile(folder)) ?? assert.fail();
}

async function readText(folder: string, offer: Offer, name: string): Promise<string | undefined> {
  await using keys = await openSealed(folder, offer);
  const secret = await keys.read(name);
  return secret === undefined ? undefined : Buffer.from(secret).toString();
}

test('passphrase, shares and program each open the same keys, and each wrong one is refused', async (t) => {
  let shares: readonly Share[] = [];
  const bySome: NewUnlocker = { kind: 'shares', needed: 2, made: 3, keep: async (made) => void (shares = made) };
  const folder = await sealedFolder(t, { kind: 'passphrase', passphrase }, bySome, byProgram);
  const good: readonly Offer[] = [
    { kind: 'passphrase', passphrase },
    { kind: 'shares', shares: shares.slice(1) },
    offerProgram(),
  ];
  for (const offer of good) assert.equal(await readText(folder, offer, 'log-key.pem'), 'a log key');
  const wrongValue = shares.map((share) => ({ ...share, value: randomBytes(32) }));
  const bad: readonly Offer[] = [
    { kind: 'passphrase', passphrase: `${passphrase}!` },
    { kind: 'passphrase', passphrase: '' },
    { kind: 'shares', shares: shares.slice(2) },
    { kind: 'shares', shares: wrongValue },
    { kind: 'program', secret: randomBytes(32) },
  ];
  for (const offer of bad) await assert.rejects(readText(folder, offer, 'log-key.pem'), refused);
});

test('a passphrase typed in another Unicode form opens, one that is too short is never taken', async (t) => {
  const folder = await sealedFolder(t, { kind: 'passphrase', passphrase: 'Schlüsselbund ﬁnden' });
  const typed = 'Schlüsselbund finden'.normalize('NFD');
  assert.equal(await readText(folder, { kind: 'passphrase', passphrase: typed }, 'log-key.pem'), 'a log key');
  await assert.rejects(sealedFolder(t, { kind: 'passphrase', passphrase: 'elevenchars' }), refused);
});

test('an entry that was added is there after the next opening, one that was removed is not, none is overwritten', async (t) => {
  const folder = await sealedFolder(t);
  {
    await using keys = await openSealed(folder, offerProgram());
    await Promise.all([keys.add('platform-2.key', Buffer.from('second')), keys.remove('log-key.pem')]);
    await assert.rejects(keys.add('platform.key', Buffer.from('other')), { code: 'conflict' });
    assert.deepEqual(await keys.names(), ['platform-2.key', 'platform.key']);
  }
  assert.equal(await readText(folder, offerProgram(), 'platform-2.key'), 'second');
  assert.equal(await readText(folder, offerProgram(), 'log-key.pem'), undefined);
  assert.deepEqual(await readdir(folder), [sealedFileName]);
});

test('unlockers are changed without the keys: the removed one opens nothing any more', async (t) => {
  const folder = await sealedFolder(t);
  const other = randomBytes(32);
  {
    await using keys = await openSealed(folder, offerProgram());
    await keys.changeUnlockers(new Set(['program-1']), [{ kind: 'program', secret: other }]);
    await assert.rejects(keys.changeUnlockers(new Set(['program-1']), []), invalid, 'no unlocker would be left');
  }
  await assert.rejects(readText(folder, offerProgram(), 'log-key.pem'), refused);
  assert.equal(await readText(folder, { kind: 'program', secret: other }, 'log-key.pem'), 'a log key');
});

test('an entry in the place of another, from another hub, or with a byte changed is refused', async (t) => {
  const folder = await sealedFolder(t);
  const file = await fileIn(folder);
  const other = await fileIn(await sealedFolder(t));
  const [first = assert.fail(), second = assert.fail()] = file.entries;
  const swapped = [
    { ...first, sealed: second.sealed },
    { ...second, sealed: first.sealed },
  ];
  const changed = Buffer.from(first.sealed, 'base64url');
  changed[20] = (changed[20] ?? 0) ^ 1;
  for (const altered of [swapped, other.entries, [{ ...first, sealed: changed.toString('base64url') }]]) {
    await assert.rejects(openSealedKeys(folder, { ...file, entries: altered }, offerProgram()), invalid);
  }
});

test('what the file says of an unlocker is bound to it', async (t) => {
  const folder = await sealedFolder(t);
  const file = await fileIn(folder);
  const unlockers = file.unlockers.map((unlocker) => ({ ...unlocker, id: 'program-2' }));
  await assert.rejects(openSealedKeys(folder, { ...file, unlockers }, offerProgram()), refused);
});

test('a plain key that a crash left beside its sealed copy is removed, a different one stops the opening', async (t) => {
  const folder = await sealedFolder(t);
  await writeFile(join(folder, 'log-key.pem'), 'a log key');
  assert.equal(await readText(folder, offerProgram(), 'log-key.pem'), 'a log key');
  assert.deepEqual(await readdir(folder), [sealedFileName]);
  await writeFile(join(folder, 'log-key.pem'), 'another log key');
  await assert.rejects(readText(folder, offerProgram(), 'log-key.pem'), invalid);
  assert.equal(await readFile(join(folder, 'log-key.pem'), 'utf8'), 'another log key');
});

test('parse(encode(file)) is the file, and random bytes throw only the named error', async (t) => {
  const file = await fileIn(await sealedFolder(t));
  const bytes = encodeSealedFile(file);
  assert.deepEqual(parseSealedFile(bytes, 'test'), file);
  const mutated = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 32, max: 126 })).map(([at, byte]) => {
    const copy = Uint8Array.from(bytes);
    copy[at] = byte;
    return copy;
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        mutated,
        fc.json().map((text) => Buffer.from(text)),
      ),
      (input) => {
        try {
          parseSealedFile(input, 'test');
        } catch (error) {
          assert.ok(error instanceof HubError && error.code === 'sealed-keys-invalid', String(error));
        }
      },
    ),
  );
});
