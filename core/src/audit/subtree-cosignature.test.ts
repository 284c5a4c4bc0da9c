// A log and a witness with a second key, of ML-DSA-44: the form of tlog-cosignature, and that neither signature counts alone.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, verify } from 'node:crypto';
import { test } from 'node:test';
import { testEd25519 } from '../access/testing-receipt.ts';
import { toBase64 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { mlDsaSigner, rawMlDsaKey } from '../post-quantum/ml-dsa.ts';
import { signerFromKey } from '../signer.ts';
import { openCheckpoint, signCheckpoint } from './checkpoint.ts';
import { cosign, cosignatureBy, linesBy } from './cosignature.ts';
import { verifyForkProof } from './fork-proof.ts';
import {
  classicalPart,
  encodeNote,
  encodeVerifierKey,
  type NoteSigner,
  parseNote,
  parseVerifierKey,
  type SignedNote,
  verifierKeyOf,
} from './note.ts';
import { verifyQuorum, witnessPolicy } from './quorum.ts';

const pair = (name: string, seed: number): NoteSigner => ({
  name,
  signer: signerFromKey(testEd25519(seed)),
  postQuantum: mlDsaSigner(generateKeyPairSync('ml-dsa-44').privateKey, 'ml-dsa-44'),
});
const log = pair('hub.example/audit', 1);
const witness = pair('hub.example/device/press-7', 2);
const logKey = verifierKeyOf(log, 'ed25519');
const witnessKey = verifierKeyOf(witness, 'cosignature-v1');
const head = { size: 5, root: Buffer.alloc(32, 3) };
const seconds = 1_800_000_000;
const note = parseNote(await signCheckpoint(head, log));
const lines = await cosign(note.text, seconds, witness);
const without = (signed: SignedNote, type: 'classical' | 'post-quantum'): SignedNote => ({
  ...signed,
  signatures: signed.signatures.filter(({ signature }) => signature.length < 100 === (type !== 'classical')),
});
const withLines = (more: SignedNote['signatures']): SignedNote => ({
  ...note,
  signatures: [...note.signatures, ...more],
});

test('the signed message is the one of tlog-cosignature, and the key id that of type 0x06', () => {
  const line = lines[1] ?? assert.fail();
  const publicKey = witness.postQuantum?.publicKey ?? assert.fail();
  const u64 = (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(value);
    return bytes;
  };
  const opaque = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
  const message = Buffer.concat([
    Buffer.from('subtree/v1\n\0'),
    opaque(witness.name),
    u64(1_800_000_000n),
    opaque('hub.example/audit'),
    u64(0n),
    u64(5n),
    head.root,
  ]);
  assert.equal(message.subarray(0, 12).length, 12);
  assert.deepEqual(Buffer.from(line.signature.subarray(0, 8)), u64(1_800_000_000n));
  assert.equal(verify(null, message, publicKey, line.signature.subarray(8)), true);
  const id = createHash('sha256')
    .update(`${witness.name}\n`)
    .update(Buffer.of(0x06))
    .update(rawMlDsaKey('ml-dsa-44', publicKey))
    .digest('hex')
    .slice(0, 8);
  assert.equal(line.keyId, id);
});

test('a verifier key of two is read as it is written; one of ML-DSA-44 alone, another name, another order and a third are refused', () => {
  const text = encodeVerifierKey(logKey);
  const [classical = '', second = ''] = text.split(' ');
  assert.deepEqual(encodeVerifierKey(parseVerifierKey(text)), text);
  assert.equal(parseVerifierKey(classical).postQuantum, undefined);
  const [foreign = ''] = encodeVerifierKey(witnessKey).split(' ').slice(1);
  const cut = `${second.split('+').slice(0, 2).join('+')}+${toBase64(Buffer.of(6, 1, 2, 3))}`;
  for (const wrong of [
    second,
    `${second} ${classical}`,
    `${classical} ${foreign}`,
    `${text} ${second}`,
    `${classical} ${classical}`,
    `${classical}  ${second}`,
    `${classical} ${cut}`,
  ]) {
    assert.throws(() => parseVerifierKey(wrong), CoreError, wrong.slice(0, 60));
  }
});

// SECURITY.md: HUB-80
test('a checkpoint with one of the log’s two signatures stripped or changed is refused by a reader that knows both keys', () => {
  const kindOf = (signed: SignedNote, key = logKey) => openCheckpoint(encodeNote(signed), key).kind;
  assert.equal(kindOf(note), 'verified');
  assert.equal(kindOf(without(note, 'post-quantum')), 'refused');
  assert.equal(kindOf(without(note, 'classical')), 'refused');
  const [own, other] = note.signatures;
  assert.ok(own !== undefined && other !== undefined);
  const changed = Uint8Array.from(other.signature);
  changed[500] = (changed[500] ?? 0) ^ 1;
  assert.equal(kindOf({ ...note, signatures: [own, { ...other, signature: changed }] }), 'refused');
  // A reader of before knows the Ed25519 key alone.
  assert.equal(kindOf(note, classicalPart(logKey)), 'verified');
});

// SECURITY.md: HUB-80
test('a signature by ML-DSA-44 over another tree, or of another log, does not count', async () => {
  const other = parseNote(await signCheckpoint({ ...head, root: Buffer.alloc(32, 4) }, log));
  const mixed = { ...note, signatures: [note.signatures[0] ?? assert.fail(), other.signatures[1] ?? assert.fail()] };
  assert.equal(openCheckpoint(encodeNote(mixed), logKey).kind, 'refused');
  const renamed = parseNote(await signCheckpoint(head, { ...log, name: 'other.example/audit' }));
  const line = { ...(renamed.signatures[1] ?? assert.fail()), name: log.name, keyId: logKey.postQuantum?.id ?? '' };
  assert.equal(
    openCheckpoint(encodeNote({ ...note, signatures: [note.signatures[0] ?? assert.fail(), line] }), logKey).kind,
    'refused',
  );
});

// SECURITY.md: HUB-80
test('a witness with two keys counts with both of its cosignatures, of one time, and not with one', async () => {
  const policy = witnessPolicy([witnessKey], 1);
  const [classical, postQuantum] = lines;
  assert.ok(classical !== undefined && postQuantum !== undefined);
  assert.equal(verifyQuorum(withLines(lines), policy).kind, 'met');
  assert.deepEqual(cosignatureBy(withLines(lines), witnessKey), {
    witness: witness.name,
    keyId: witnessKey.id,
    seconds,
  });
  assert.equal(verifyQuorum(withLines([classical]), policy).kind, 'refused');
  assert.equal(verifyQuorum(withLines([postQuantum]), policy).kind, 'refused');
  const later = (await cosign(note.text, seconds + 60, witness))[1] ?? assert.fail();
  assert.equal(cosignatureBy(withLines([classical, later]), witnessKey), undefined);
  const changed = Uint8Array.from(postQuantum.signature);
  changed[9] = (changed[9] ?? 0) ^ 1;
  assert.equal(cosignatureBy(withLines([classical, { ...postQuantum, signature: changed }]), witnessKey), false);
  assert.equal(linesBy(withLines(lines), witnessKey).length, 2);
  // A reader that knows one key reads one.
  assert.equal(verifyQuorum(withLines(lines), witnessPolicy([classicalPart(witnessKey)], 1)).kind, 'met');
});

test('two witnesses with one ML-DSA-44 key are refused: it would count twice', () => {
  const twin = {
    ...verifierKeyOf(pair('hub.example/device/press-8', 3), 'cosignature-v1'),
    postQuantum: witnessKey.postQuantum,
  };
  assert.throws(() => witnessPolicy([witnessKey, twin], 1), { code: 'key-invalid' });
});

test('a log does not escape a fork proof by leaving out its second signature', async () => {
  const other = parseNote(await signCheckpoint({ ...head, root: Buffer.alloc(32, 4) }, log));
  const [first, second] = [note, other].map((each) => encodeNote(without(each, 'post-quantum')));
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(verifyForkProof({ kind: 'same-size', first, second }, logKey).kind, 'proven');
});

test('a name that a cosigned message cannot hold is refused', async () => {
  await assert.rejects(signCheckpoint(head, { ...log, name: 'n'.repeat(256) }), { code: 'note-invalid' });
});
