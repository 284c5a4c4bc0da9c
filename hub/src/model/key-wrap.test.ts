import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { PlatformKey } from '../secrets/platform-key.ts';
import { wrapSecret } from '../secrets/wrap.ts';
import { unwrapModelKey, wrapModelKey } from './key-wrap.ts';

const newPlatformKey = () => new PlatformKey(new Map([[1, randomBytes(32)]]));
const platformKey = newPlatformKey();
const modelKey = randomBytes(32);
const owner = { name: 'inspect', version: '1.0.0', manifest_digest: 'ab'.repeat(32) };
const wrapped = wrapModelKey(platformKey, modelKey, owner);

test('a wrapped model key opens under its platform key, name, version and manifest', () => {
  assert.deepEqual(Buffer.from(unwrapModelKey(platformKey, wrapped, owner)), modelKey);
});

// SECURITY.md: HUB-29
test('a wrapped model key opens for no other release and under no other platform key', () => {
  const failed = { code: 'store-failed' };
  assert.throws(() => unwrapModelKey(platformKey, wrapped, { ...owner, version: '1.0.1' }), failed);
  assert.throws(() => unwrapModelKey(platformKey, wrapped, { ...owner, name: 'other' }), failed);
  const otherManifest = { ...owner, manifest_digest: 'cd'.repeat(32) };
  assert.throws(() => unwrapModelKey(platformKey, wrapped, otherManifest), failed);
  assert.throws(() => unwrapModelKey(newPlatformKey(), wrapped, owner), failed);
});

// SECURITY.md: HUB-37
test('a wrapped model key with any byte changed or cut short is refused', () => {
  for (let at = 0; at < wrapped.length; at += 1) {
    const changed = Uint8Array.from(wrapped);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(() => unwrapModelKey(platformKey, changed, owner), { code: 'store-failed' });
  }
  assert.throws(() => unwrapModelKey(platformKey, wrapped.subarray(1), owner), { code: 'store-failed' });
});

test('a key that was wrapped before the manifest belonged to it opens', () => {
  const former = wrapSecret(platformKey, modelKey, { kind: 'model key', names: ['inspect', '1.0.0'] });
  assert.deepEqual(Buffer.from(unwrapModelKey(platformKey, former, owner)), modelKey);
});
