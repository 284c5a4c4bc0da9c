import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { toHex, utf8 } from '../bytes.ts';
import { signerFromKey } from '../signer.ts';
import { encodeManifest, manifestDigest, type ModelManifest } from './manifest.ts';
import { verifyModelRelease } from './release.ts';
import { keyFingerprint } from './signature/key-mode.ts';
import { signModel } from './signature/sign.ts';
import type { Resource } from './signature/statement.ts';

const publisher = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const serialization = {
  hash: 'sha256',
  shardSize: undefined,
  allowSymlinks: false,
  ignorePaths: ['model.sig'],
} as const;

const manifest: ModelManifest = {
  type: 'edgekeep-model-manifest/v1',
  name: 'surface',
  version: '1.0.0',
  files: [
    { path: 'model.onnx', role: 'primary', mediaType: 'application/onnx', size: 4, sha256: sha256('onnx') },
    { path: 'labels/de.txt', role: 'data', mediaType: 'text/plain', size: 2, sha256: sha256('ok') },
  ],
};
const manifestBytes = encodeManifest(manifest);
const resources: readonly Resource[] = [
  { path: 'manifest.json', range: undefined, digest: toHex(manifestDigest(manifestBytes)) },
  ...manifest.files.map(({ path, sha256: digest }) => ({ path, range: undefined, digest })),
];

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function release(signed: readonly Resource[], options: object = {}) {
  const bundleBytes = await signModel(
    { name: 'surface', serialization: { ...serialization, ...options }, resources: signed },
    signerFromKey(publisher.privateKey),
  );
  return { bundleBytes, manifestBytes, trustedKeys: [stranger.publicKey, publisher.publicKey] };
}

async function reasonsOf(signed: readonly Resource[], options: object = {}): Promise<readonly string[]> {
  const verdict = verifyModelRelease(await release(signed, options));
  return verdict.kind === 'refused' ? verdict.reasons.map(({ code }) => code) : [];
}

test('a release that a trusted publisher signed says what it is and whose', async () => {
  const verdict = verifyModelRelease(await release(resources));
  ok(verdict.kind === 'verified');
  deepEqual(verdict.manifest, manifest);
  deepEqual(verdict.manifestDigest, manifestDigest(manifestBytes));
  equal(verdict.signerFingerprint, keyFingerprint(publisher.publicKey));
});

test('a release of another publisher is refused', async () => {
  const verdict = verifyModelRelease({ ...(await release(resources)), trustedKeys: [stranger.publicKey] });
  ok(verdict.kind === 'refused');
  equal(verdict.reasons[0]?.code, 'wrong-key');
});

test('another manifest under the same signature is refused', async () => {
  const other = encodeManifest({ ...manifest, version: '1.0.1' });
  const verdict = verifyModelRelease({ ...(await release(resources)), manifestBytes: other });
  ok(verdict.kind === 'refused');
  equal(verdict.reasons[0]?.code, 'manifest-mismatch');
});

test('bytes that are not the signed manifest are never parsed', async () => {
  const verdict = verifyModelRelease({ ...(await release(resources)), manifestBytes: utf8('no manifest') });
  equal(verdict.kind, 'refused');
});

test('a signature that leaves the manifest out is refused', async () => {
  deepEqual(await reasonsOf(resources.slice(1)), ['manifest-mismatch']);
});

test('a file of the manifest that is not signed is refused', async () => {
  deepEqual(await reasonsOf(resources.slice(0, 2)), ['unsigned-file']);
});

test('a signed file that the manifest does not know is refused', async () => {
  const more = { path: 'extra.bin', range: undefined, digest: sha256('') };
  deepEqual(await reasonsOf([...resources, more]), ['missing-file']);
});

test('a file with another digest than the signed one is refused', async () => {
  const [first, second, third] = resources;
  ok(first !== undefined && second !== undefined && third !== undefined);
  deepEqual(await reasonsOf([first, { ...second, digest: sha256('evil') }, third]), ['digest-mismatch']);
});

test('a release signed by shards or with another hash is refused', async () => {
  const shards = resources.map((resource) => ({ ...resource, range: { start: 0, end: 8 } }));
  deepEqual(await reasonsOf(shards, { shardSize: 8 }), ['unsupported-serialization']);
  const blake2b = resources.map((resource) => ({ ...resource, digest: resource.digest.repeat(2) }));
  deepEqual(await reasonsOf(blake2b, { hash: 'blake2b' }), ['unsupported-serialization']);
});

test('a signed manifest that is no manifest is a named error', async () => {
  const bytes = utf8('{"type":"edgekeep-model-manifest/v2"}');
  const signed = [{ path: 'manifest.json', range: undefined, digest: toHex(manifestDigest(bytes)) }];
  const parts = await release(signed);
  throws(() => verifyModelRelease({ ...parts, manifestBytes: bytes }), { code: 'manifest-invalid' });
});
