import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { PlatformKey } from '../secrets/platform-key.ts';
import { unwrapModelKey, wrapModelKey } from './key-wrap.ts';

const newPlatformKey = () => new PlatformKey(new Map([[1, randomBytes(32)]]));
const platformKey = newPlatformKey();
const modelKey = randomBytes(32);
const wrapped = wrapModelKey(platformKey, modelKey, 'inspect', '1.0.0');

test('a wrapped model key opens under its platform key, name and version', () => {
  assert.deepEqual(Buffer.from(unwrapModelKey(platformKey, wrapped, 'inspect', '1.0.0')), modelKey);
});

// SECURITY.md: HUB-29
test('a wrapped model key opens for no other release and under no other platform key', () => {
  const failed = { code: 'store-failed' };
  assert.throws(() => unwrapModelKey(platformKey, wrapped, 'inspect', '1.0.1'), failed);
  assert.throws(() => unwrapModelKey(platformKey, wrapped, 'other', '1.0.0'), failed);
  assert.throws(() => unwrapModelKey(newPlatformKey(), wrapped, 'inspect', '1.0.0'), failed);
});

// SECURITY.md: HUB-37
test('a wrapped model key with any byte changed or cut short is refused', () => {
  for (let at = 0; at < wrapped.length; at += 1) {
    const changed = Uint8Array.from(wrapped);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(() => unwrapModelKey(platformKey, changed, 'inspect', '1.0.0'), { code: 'store-failed' });
  }
  assert.throws(() => unwrapModelKey(platformKey, wrapped.subarray(1), 'inspect', '1.0.0'), { code: 'store-failed' });
});
