// Attacks on the keys by which a hub signs its log and its attestation results (spec/key-list.md).
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { KnownKeys } from '@edgekeep/agent/hub/known-keys';
import { encodeReceipt, verifyReceipt } from '@edgekeep/core/access/receipt';
import {
  releasedAtMs,
  testEd25519,
  testLogKey,
  testP256,
  testReceiptParts,
  testTrust,
} from '@edgekeep/core/access/testing-receipt';
import { always, alwaysLog, keysOfList } from '@edgekeep/core/access/trust';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { openKeyList } from '@edgekeep/core/authority/key-list';
import {
  listedAt,
  testListedKey,
  testListRoot,
  testSignedList,
  type TestRoot,
} from '@edgekeep/core/authority/testing-key-list';
import { signerFromKey } from '@edgekeep/core/signer';

const hub = encodeVerifierKey(testLogKey);
const log = testListedKey('log', testEd25519(1));
const attestation = testListedKey('attestation-result', testP256(5));
const next = testListedKey('attestation-result', testP256(6), { fromSeconds: listedAt });
const ended = { ...attestation, untilSeconds: listedAt - 60, compromised: true };
const pinned = { logs: [alwaysLog(testLogKey)], attestationKeys: [always(attestation.publicKey)] };
let folder: string;
let root: TestRoot;
let first: Uint8Array;
let second: Uint8Array;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-key-list-'));
  root = await testListRoot();
  first = await testSignedList(root, { hub, number: 1, keys: [log, attestation] });
  second = await testSignedList(root, { hub, number: 2, keys: [log, ended, next] });
});
after(() => rm(folder, { recursive: true }));

async function device(name: string): Promise<KnownKeys> {
  return KnownKeys.open(join(folder, name), pinned, [root.certificate]);
}

async function reasonsFor(keys: KnownKeys, file: Uint8Array, atSeconds = listedAt): Promise<string> {
  const learned = await keys.learn(file, [root.certificate], atSeconds);
  assert.equal(learned.kind, 'refused');
  return learned.kind === 'refused' ? learned.reasons.join('\n') : '';
}

// SECURITY.md: HUB-90
test('the thief of an attestation key replays the list in which it has no end, and a device refuses it, also after a restart', async () => {
  const keys = await device('replay');
  assert.equal((await keys.learn(second, [root.certificate], listedAt)).kind, 'learned');
  const before = await readFile(join(folder, 'replay'));
  assert.match(await reasonsFor(keys, first), /rolled back/);
  const again = await device('replay');
  assert.match(await reasonsFor(again, first), /rolled back/);
  assert.deepEqual(await readFile(join(folder, 'replay')), before);
  assert.deepEqual(
    again.attestationKeys.map(({ compromised }) => compromised),
    [true, false],
  );
});

// SECURITY.md: HUB-90
test('a compromised hub names a key of its own, or the keys of another hub under the same root, and no device takes it', async () => {
  const keys = await device('forged');
  const stranger = await testListRoot();
  const own = testListedKey('attestation-result', testP256(7));
  assert.match(await reasonsFor(keys, await testSignedList(stranger, { hub, number: 9, keys: [log, own] })), /no root/);
  const otherLog = testListedKey('log', testEd25519(9), { origin: 'other.example/audit' });
  const other = await testSignedList(root, { hub: 'other.example/audit', number: 9, keys: [otherLog, own] });
  assert.match(await reasonsFor(keys, other), /the log key that was delivered/);
  await keys.learn(first, [root.certificate], listedAt);
  const moved = await testSignedList(root, { hub: 'other.example/audit', number: 9, keys: [log, attestation] });
  assert.match(await reasonsFor(keys, moved), /another hub/);
});

// SECURITY.md: HUB-90
test('a device that knows no list takes none that is past its date', async () => {
  const keys = await device('stale');
  const old = await testSignedList(root, {
    hub,
    number: 1,
    keys: [log, attestation],
    validUntilSeconds: listedAt + 60,
  });
  assert.match(await reasonsFor(keys, old, listedAt + 60), /too old/);
  assert.equal(keys.number, 0);
});

// SECURITY.md: HUB-91
test('a receipt with a result that the thief of an attestation key made after its end is refused, and one from before verifies', async () => {
  const receipt = encodeReceipt(await testReceiptParts());
  const at = Math.floor(releasedAtMs / 1_000);
  const under = async (untilSeconds: number) => {
    const keys = [
      { ...log, fromSeconds: 0 },
      { ...attestation, fromSeconds: 0, untilSeconds, compromised: true },
    ];
    const verdict = openKeyList(await testSignedList(root, { hub, number: 3, keys }), [root.certificate]);
    assert.ok(verdict.kind === 'verified');
    return verifyReceipt(receipt, { ...testTrust(1), ...keysOfList(verdict.list) });
  };
  assert.equal((await under(at + 60)).kind, 'verified');
  const late = await under(at - 3_600);
  assert.ok(late.kind === 'refused');
  assert.match(late.reasons.join('\n'), /attestation: the result is of a time at which the key did not count/);
});

// SECURITY.md: HUB-91
test('the thief of an attestation key dates a result back before the theft, and has it logged after: refused', async () => {
  const receipt = encodeReceipt(await testReceiptParts());
  const at = Math.floor(releasedAtMs / 1_000);
  // The result says that it is two seconds older than its entry.
  const under = async (change: Partial<typeof attestation>) => {
    const key = { ...attestation, fromSeconds: 0, untilSeconds: at - 1, ...change };
    const list = await testSignedList(root, { hub, number: 3, keys: [{ ...log, fromSeconds: 0 }, key] });
    const verdict = openKeyList(list, [root.certificate]);
    assert.ok(verdict.kind === 'verified');
    return verifyReceipt(receipt, { ...testTrust(1), ...keysOfList(verdict.list) });
  };
  const stolen = await under({ compromised: true });
  assert.ok(stolen.kind === 'refused');
  assert.match(stolen.reasons.join('\n'), /the result's key was stolen, and the entry is of a time/);
  // One that was only replaced signed nothing after its end.
  assert.equal((await under({ compromised: false })).kind, 'verified');
});

// SECURITY.md: HUB-98
test('the thief of a former key has their receipt refused from the theft on, and devices and verifiers take the theft at once', async () => {
  const at = Math.floor(releasedAtMs / 1_000);
  const former = { ...attestation, fromSeconds: 0, untilSeconds: at + 9 * 86_400 };
  const base = { hub, keys: [{ ...log, fromSeconds: 0 }, former, next] };
  const keys = await device('former');
  await keys.learn(await testSignedList(root, { ...base, number: 2 }), [root.certificate], listedAt);
  const receipt = encodeReceipt(await testReceiptParts());
  const seen = () =>
    verifyReceipt(receipt, { ...testTrust(1), logs: keys.logs, attestationKeys: keys.attestationKeys });
  assert.equal(seen().kind, 'verified');
  const stolen = { ...former, untilSeconds: at - 3_600, compromised: true };
  const said = await testSignedList(root, { ...base, number: 3, keys: [{ ...log, fromSeconds: 0 }, stolen, next] });
  assert.equal((await keys.learn(said, [root.certificate], listedAt)).kind, 'learned');
  assert.equal(seen().kind, 'refused');
  // Not to be taken back, and not by the list of before.
  assert.match(await reasonsFor(keys, await testSignedList(root, { ...base, number: 4 })), /not any more/);
});

// SECURITY.md: HUB-91
test('the key of one purpose signs nothing of another: a result under the log’s key, or a list with one key for both, is refused', async () => {
  const receipt = encodeReceipt(await testReceiptParts());
  const command = { ...attestation, fromSeconds: 0, purpose: 'command' } as const;
  const list = await testSignedList(root, { hub, number: 3, keys: [{ ...log, fromSeconds: 0 }, command] });
  const verdict = openKeyList(list, [root.certificate]);
  assert.ok(verdict.kind === 'verified');
  assert.equal(verifyReceipt(receipt, { ...testTrust(1), ...keysOfList(verdict.list) }).kind, 'refused');
  await assert.rejects(testSignedList(root, { hub, number: 3, keys: [log, attestation, command] }), {
    code: 'key-list-invalid',
  });
  assert.equal(signerFromKey(testP256(5)).algorithm, 'ecdsa-p256-sha256');
});
