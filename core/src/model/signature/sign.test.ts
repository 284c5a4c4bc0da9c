import { deepEqual, equal, ok, rejects, throws } from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { utf8 } from '../../bytes.ts';
import { signerFromKey } from '../../signer.ts';
import { type ModelEntry, planSigning } from './compare.ts';
import { signDetached, verifyDetached } from './detached.ts';
import { preAuthenticationEncoding } from './dsse.ts';
import { keyFingerprint } from './key-mode.ts';
import { signModel } from './sign.ts';
import { encodeStatement, parseStatement } from './statement.ts';
import { verifyBundle } from './verify.ts';

const serialization = { hash: 'sha256', shardSize: undefined, allowSymlinks: false, ignorePaths: [] } as const;
const resource = { path: 'model.onnx', range: undefined, digest: '11'.repeat(32) };
const model = { name: 'model', serialization, resources: [resource] };
const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed25519 = generateKeyPairSync('ed25519');

function keys(...trusted: readonly KeyObject[]) {
  return { kind: 'keys', keys: trusted } as const;
}

test('the pre-authentication encoding is the one of the DSSE specification', () => {
  const encoded = preAuthenticationEncoding('http://example.com/HelloWorld', utf8('hello world'));
  equal(Buffer.from(encoded).toString(), 'DSSEv1 29 http://example.com/HelloWorld 11 hello world');
});

for (const namedCurve of ['P-256', 'P-384', 'P-521']) {
  test(`what a ${namedCurve} key signs verifies under it, and says what was signed`, async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
    const verdict = verifyBundle(await signModel(model, signerFromKey(privateKey)), keys(publicKey));
    ok(verdict.kind === 'verified');
    deepEqual(verdict.statement.resources, [resource]);
    equal(verdict.signer.keyFingerprint, keyFingerprint(publicKey));
  });
}

test('the fingerprint is the SHA-256 of the PEM text', () => {
  const pem = signing.publicKey.export({ type: 'spki', format: 'pem' });
  equal(keyFingerprint(signing.publicKey), createHash('sha256').update(pem).digest('hex'));
});

test('no trusted key at all verifies nothing', async () => {
  const verdict = verifyBundle(await signModel(model, signerFromKey(signing.privateKey)), keys());
  equal(verdict.kind, 'refused');
});

test('an Ed25519 key neither signs nor verifies a bundle', async () => {
  await rejects(signModel(model, signerFromKey(ed25519.privateKey)), { code: 'key-invalid' });
  const bundle = await signModel(model, signerFromKey(signing.privateKey));
  throws(() => verifyBundle(bundle, keys(ed25519.publicKey)), { code: 'key-invalid' });
});

test('parsing an encoded statement gives it back', () => {
  const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
  const digests = fc.dictionary(fc.stringMatching(/^[a-z]{1,5}(\/[a-z]{1,5}){0,2}$/), digest, { minKeys: 1 });
  fc.assert(
    fc.property(digests, fc.array(fc.string({ maxLength: 20 })), (byPath, ignorePaths) => {
      const resources = Object.entries(byPath).map(([path, hex]) => ({ path, range: undefined, digest: hex }));
      const wellFormed = ignorePaths.filter((path) => path.isWellFormed());
      const options = { ...serialization, ignorePaths: wellFormed };
      const parsed = parseStatement(encodeStatement('model', options, resources));
      ok(parsed.kind === 'parsed');
      deepEqual(
        new Map(parsed.statement.resources.map(({ path, digest: hex }) => [path, hex])),
        new Map(Object.entries(byPath)),
      );
      deepEqual(parsed.statement.serialization, options);
    }),
  );
});

for (const kind of ['symbolic-link', 'special'] as const) {
  test(`a ${kind} is not signed`, () => {
    const entries: ModelEntry[] = [{ path: 'x', kind, size: 0 }];
    throws(() => planSigning({ name: 'model', kind: 'folder', entries }, serialization), {
      code: 'model-path-invalid',
    });
  });
}

test('an empty model is not signed', () => {
  const entries: ModelEntry[] = [{ path: '.git/config', kind: 'file', size: 3 }];
  const listing = { name: 'model', kind: 'folder', entries } as const;
  throws(() => planSigning(listing, { ...serialization, ignorePaths: ['.git'] }), { code: 'model-path-invalid' });
});

test('a shard size that would make a million shards is refused before they are made', () => {
  const entries: ModelEntry[] = [{ path: 'x', kind: 'file', size: 2 ** 31 }];
  const listing = { name: 'model', kind: 'folder', entries } as const;
  throws(() => planSigning(listing, { ...serialization, shardSize: 1 }), { code: 'model-path-invalid' });
});

test('a detached signature is 64 bytes and verifies under its key over its bytes alone', async () => {
  const bytes = utf8('weights');
  const signature = signDetached(bytes, ed25519.privateKey);
  equal(signature.length, 64);
  equal(verifyDetached(bytes, signature, ed25519.publicKey).kind, 'verified');
  equal(verifyDetached(utf8('weightt'), signature, ed25519.publicKey).kind, 'refused');
  equal(verifyDetached(bytes, signature, generateKeyPairSync('ed25519').publicKey).kind, 'refused');
  throws(() => verifyDetached(bytes, signature.subarray(1), ed25519.publicKey), { code: 'signature-bundle-invalid' });
  throws(() => verifyDetached(bytes, signature, signing.publicKey), { code: 'signature-bundle-invalid' });
});
