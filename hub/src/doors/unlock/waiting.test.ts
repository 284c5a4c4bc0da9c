import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import type { KeyStore } from '../../secrets/key-store.ts';
import { openSealed } from '../../secrets/open-keys.ts';
import { readSealedFile, writeSealedKeys } from '../../secrets/sealed-keys.ts';
import { encodeShare, type Share, splitSecret } from '../../secrets/share.ts';
import type { NewUnlocker } from '../../secrets/unlock.ts';
import { giveToHub, waitForUnlock } from './waiting.ts';

const passphrase = 'five words that nobody guesses';
const refused = { state: 'refused' };

let folder = '';
let shares: readonly Share[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-waiting-'));
  await mkdir(join(folder, 'keys'));
  const threeOfFive: NewUnlocker = {
    kind: 'shares',
    needed: 3,
    made: 5,
    keep: async (made) => void (shares = made),
  };
  const entries = new Map([['platform.key', randomBytes(32)]]);
  await writeSealedKeys(join(folder, 'keys'), entries, [threeOfFive, { kind: 'passphrase', passphrase }]);
});
afterEach(() => rm(folder, { recursive: true }));

/** A hub that waits in the folder; its keys, once they are opened. */
async function waiting(): Promise<{ readonly keys: Promise<KeyStore> }> {
  const file = await readSealedFile(join(folder, 'keys'));
  const isThere = Promise.withResolvers<string>();
  const keys = waitForUnlock({
    dataFolder: folder,
    unlockers: file?.unlockers ?? [],
    open: (offer) => openSealed(join(folder, 'keys'), offer),
    onWaiting: isThere.resolve,
  });
  await Promise.race([isThere.promise, keys]);
  return { keys };
}

const give = async (at: number) => {
  const share = shares[at];
  if (share === undefined) throw new TypeError(`there is no share ${at}`);
  return giveToHub(folder, { share: encodeShare(share) });
};

test('a wrong passphrase is refused and the hub goes on waiting, the right one opens the keys and the socket goes', async () => {
  const { keys } = await waiting();
  const wrong = await giveToHub(folder, { passphrase: 'five words that somebody guesses' });
  assert.deepEqual({ ...wrong, message: undefined }, { ...refused, message: undefined });
  assert.deepEqual(await giveToHub(folder, { passphrase }), { state: 'unlocked' });
  assert.equal((await (await keys).read('platform.key'))?.length, 32);
  await assert.rejects(stat(join(folder, 'unlock.sock')), { code: 'ENOENT' });
  await assert.rejects(giveToHub(folder, { passphrase }), { code: 'keys-locked' });
});

test('people give their shares one after the other; too few, or one twice, open nothing', async () => {
  const { keys } = await waiting();
  assert.deepEqual(await give(0), { state: 'waiting', given: 1, needed: 3 });
  assert.deepEqual(await give(0), { state: 'waiting', given: 1, needed: 3 });
  assert.deepEqual(await give(4), { state: 'waiting', given: 2, needed: 3 });
  assert.deepEqual(await give(2), { state: 'unlocked' });
  await keys;
});

test('a share that was made to mislead costs all of the attempt, and the right ones open after it', async () => {
  const { keys } = await waiting();
  const [first] = shares;
  assert.ok(first);
  const false1 = { ...first, value: randomBytes(32) };
  assert.equal((await giveToHub(folder, { share: encodeShare(false1) })).state, 'waiting');
  assert.equal((await give(1)).state, 'waiting');
  assert.equal((await give(2)).state, 'refused');
  assert.deepEqual(await give(1), { state: 'waiting', given: 1, needed: 3 });
  await give(2);
  assert.deepEqual(await give(3), { state: 'unlocked' });
  await keys;
});

test('shares of another split and with typing mistakes are refused, and count for nothing', async () => {
  const { keys } = await waiting();
  const [stranger] = await splitSecret(randomBytes(32), 3, 5);
  assert.ok(stranger);
  assert.equal((await giveToHub(folder, { share: encodeShare(stranger) })).state, 'refused');
  assert.equal((await giveToHub(folder, { share: 'ekshare-01' })).state, 'refused');
  await give(0);
  await give(1);
  assert.equal((await give(2)).state, 'unlocked');
  await keys;
});

test('the socket is its owner’s alone, and bytes that are not a request get a refusal or nothing', async () => {
  const { keys } = await waiting();
  const path = join(folder, 'unlock.sock');
  assert.equal((await stat(path)).mode & 0o077, 0);
  for (const line of [
    '',
    '{',
    '[]',
    '{"passphrase":""}',
    `{"share":"${'x'.repeat(300)}"}`,
    '{"passphrase":"a","b":1}',
  ]) {
    const socket = connect(path);
    socket.write(`${line}\n`);
    assert.match(await text(socket), /"state":"refused"/, line);
  }
  const tooMuch = connect(path);
  const ended = new Promise((resolve) => tooMuch.on('error', () => undefined).once('close', resolve));
  tooMuch.write('x'.repeat(100_000));
  await ended;
  assert.deepEqual(await giveToHub(folder, { passphrase }), { state: 'unlocked' });
  await keys;
});

test('a second hub does not wait in the same folder, and what a killed one left behind is no obstacle', async () => {
  const { keys } = await waiting();
  await assert.rejects(
    waiting().then(({ keys: second }) => second),
    { code: 'conflict' },
  );
  await giveToHub(folder, { passphrase });
  await keys;
  await writeFile(join(folder, 'unlock.sock'), '');
  const again = await waiting();
  await giveToHub(folder, { passphrase });
  await again.keys;
});
