import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { testEd25519, testLogKey, testP256 } from '../access/testing-receipt.ts';
import { encodeVerifierKey } from '../audit/note.ts';
import { parseBase64url, toBase64url, utf8 } from '../bytes.ts';
import { encodePem } from '../identity/pem.ts';
import { encodeCanonicalJson, type Json } from '../json.ts';
import { signerFromKey } from '../signer.ts';
import { followKeyList, isStale, type PinnedKeys } from './key-list-follow.ts';
import { encodeKeyListRequest, parseKeyListRequest } from './key-list-request.ts';
import { type ListedKey, openKeyList } from './key-list.ts';
import { listedAt, testKnownList, testListedKey, testListRoot, testSignedList } from './testing-key-list.ts';

const root = await testListRoot();
const hub = encodeVerifierKey(testLogKey);
const log = testListedKey('log', testEd25519(1));
const attestation = testListedKey('attestation-result', testP256(5));
const nextLog = testListedKey('log', testEd25519(8), { origin: 'hub.example/audit/2', fromSeconds: listedAt });
const first = await testSignedList(root, { hub, number: 1, keys: [log, attestation] });
const known = testKnownList(first, root);
const pinned: PinnedKeys = { number: 0, keys: [log, attestation] };

test('a list is taken by a reader that has only the keys that it was delivered with, and by one that knows a list', async () => {
  assert.equal(followKeyList(pinned, known, listedAt).kind, 'newer');
  const second = await listOf({ number: 2, keys: [{ ...log, untilSeconds: listedAt + 9 }, attestation, nextLog] });
  assert.equal(followKeyList(known, second, listedAt).kind, 'newer');
  assert.equal(followKeyList(second, second, listedAt).kind, 'unchanged');
});

test('a list is refused, with the reason, when it may not follow the known one', async (t) => {
  const ended = { ...log, untilSeconds: listedAt, compromised: true };
  const second = await listOf({ number: 2, keys: [ended, attestation, nextLog] });
  const cases: readonly (readonly [string, Awaited<ReturnType<typeof listOf>>, RegExp])[] = [
    ['an old list is replayed', known, /rolled back/],
    [
      'another one with the same number',
      await listOf({ number: 2, keys: [ended, attestation] }),
      /two different lists/,
    ],
    ['another hub', await listOf({ number: 3, hub: 'other.example/audit+00000000+AA', keys: [ended] }), /another hub/],
    ['a key is missing', await listOf({ number: 3, keys: [ended, nextLog] }), /attestation-result key .* is missing/],
    [
      'an end is taken back',
      await listOf({ number: 3, keys: [{ ...ended, untilSeconds: listedAt + 9 }, attestation, nextLog] }),
      /ends later/,
    ],
    [
      'a theft is taken back',
      await listOf({ number: 3, keys: [{ ...ended, compromised: false }, attestation, nextLog] }),
      /not any more/,
    ],
    [
      'a key gets another purpose',
      await listOf({ number: 3, keys: [ended, { ...attestation, purpose: 'backup' }, nextLog] }),
      /another purpose/,
    ],
    [
      'dated in the future',
      await listOf({ number: 3, keys: second.list.keys, issuedAtSeconds: listedAt + 301 }),
      /in the future/,
    ],
    ['too old', await listOf({ number: 3, keys: second.list.keys, validUntilSeconds: listedAt }), /too old/],
  ];
  for (const [name, offered, reason] of cases) {
    await t.test(name, () => {
      const verdict = followKeyList(second, offered, listedAt);
      assert.equal(verdict.kind, 'refused');
      if (verdict.kind === 'refused') assert.match(verdict.reasons.join('\n'), reason);
    });
  }
  const stranger = await listOf({ number: 1, keys: [{ ...log, origin: 'other.example/audit' }, attestation] });
  const verdict = followKeyList(pinned, stranger, listedAt);
  assert.ok(verdict.kind === 'refused' && /log key that was delivered/.test(verdict.reasons.join()));
});

test('a list that is valid for more than 1096 days is opened by no reader', async () => {
  const until = (days: number) => listFile({ validUntilSeconds: listedAt + days * 86_400 });
  assert.equal(openKeyList(await until(1_096), [root.certificate]).kind, 'verified');
  const verdict = openKeyList(await until(1_097), [root.certificate]);
  assert.ok(verdict.kind === 'refused' && /more than 1096 days/.test(verdict.reasons.join()));
});

test('a list counts only under the root that signed it, and every byte of it is signed', async () => {
  const other = await testListRoot();
  assert.equal(openKeyList(first, [root.certificate]).kind, 'verified');
  assert.equal(openKeyList(first, [other.certificate]).kind, 'refused');
  const signed: Record<string, string> = JSON.parse(Buffer.from(first).toString());
  const other9: Record<string, Json> = JSON.parse(Buffer.from(await listFile({ number: 9 })).toString());
  const forged = encodeCanonicalJson({ ...signed, list: other9['list'] });
  assert.deepEqual(openKeyList(forged, [root.certificate]), {
    kind: 'refused',
    reasons: ['the root did not sign this key list'],
  });
  // A signature of the root without the context is none on a list.
  const bare = toBase64url(await root.signer.sign(parseBase64url(signed['list'] ?? '', 'list')));
  assert.equal(openKeyList(encodeCanonicalJson({ ...signed, signature: bare }), [root.certificate]).kind, 'refused');
});

test('a list with a key twice, a log without an origin, an unknown purpose or an end before its beginning is no list', async () => {
  const bad: readonly (readonly ListedKey[])[] = [
    [log, { ...log, purpose: 'command', origin: undefined }],
    [{ ...log, origin: undefined }],
    [{ ...attestation, origin: 'hub.example/audit' }],
    [log, { ...nextLog, origin: log.origin }],
    [{ ...log, untilSeconds: 1 }],
    [{ ...log, compromised: true }],
    [{ ...attestation, purpose: 'log', origin: 'hub.example/x' }],
  ];
  for (const keys of bad) await assert.rejects(listFile({ keys }), /key list|notes are signed/);
  const { list = '', ...signed }: Record<string, string> = JSON.parse(Buffer.from(first).toString());
  const text = Buffer.from(parseBase64url(list, 'list')).toString();
  const unknown = utf8(text.replace('"purpose":"attestation-result"', '"purpose":"anything"'));
  const signature = await root.signer.sign(Buffer.concat([Buffer.from('edgekeep-key-list/v1\n'), unknown]));
  const file = encodeCanonicalJson({ ...signed, list: toBase64url(unknown), signature: toBase64url(signature) });
  assert.throws(() => openKeyList(file, [root.certificate]), { code: 'key-list-invalid' });
});

test('OpenSSL verifies the root’s signature on a list', () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgekeep-key-list-'));
  try {
    const { list, signature }: { list: string; signature: string } = JSON.parse(Buffer.from(first).toString());
    const file = (name: string, bytes: Uint8Array) => writeFileSync(join(folder, name), bytes);
    const content = parseBase64url(list, 'list');
    file('signed.bin', Buffer.concat([Buffer.from('edgekeep-key-list/v1\n'), content]));
    file('list.sig', parseBase64url(signature, 'signature'));
    file('root.pem', utf8(encodePem('CERTIFICATE', root.certificate.der)));
    const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    file('root.pub', openssl('x509', '-in', 'root.pem', '-noout', '-pubkey'));
    const verify = ['dgst', '-sha256', '-verify', 'root.pub', '-signature', 'list.sig', 'signed.bin'];
    assert.match(openssl(...verify).toString(), /Verified OK/);
    file('signed.bin', content);
    assert.throws(() => openssl(...verify));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a request is signed by every key that has no end, and by no other hub’s', async () => {
  const content = { hub, number: 2, keys: [{ ...log, untilSeconds: listedAt }, attestation, nextLog] };
  const signers = [testP256(5), testEd25519(8)].map(signerFromKey);
  const request = await encodeKeyListRequest(content, signers);
  assert.deepEqual(
    parseKeyListRequest(request).keys.map(({ purpose }) => purpose),
    ['log', 'attestation-result', 'log'],
  );
  await assert.rejects(encodeKeyListRequest(content, signers.slice(1)), /is not here/);
  const text = Buffer.from(request).toString();
  assert.throws(() => parseKeyListRequest(utf8(text.replace('"number":2', '"number":3'))), /did not sign this request/);
  const open = utf8(text.replace(/"proofs":\[null,"[^"]*"/, '"proofs":[null,null'));
  assert.throws(() => parseKeyListRequest(open), /has no proof/);
});

test('from its date on a list is too old, and the second before it is not', () => {
  assert.equal(isStale(known.list, known.list.validUntilSeconds - 1), false);
  assert.equal(isStale(known.list, known.list.validUntilSeconds), true);
});

function listFile(change: Partial<typeof known.list>): Promise<Uint8Array> {
  return testSignedList(root, { hub, number: 1, keys: [log, attestation], ...change });
}

async function listOf(change: Partial<typeof known.list>) {
  return testKnownList(await listFile(change), root);
}
