// ML-DSA of Node against a second implementation, both ways, for both kinds.
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { bytesOf, noble } from './support/noble.ts';
import { utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { type MlDsaKind, mlDsaKeyOf, mlDsaSigner, rawMlDsaKey, verifyMlDsa } from '@edgekeep/core/post-quantum/ml-dsa';

const kinds: readonly MlDsaKind[] = ['ml-dsa-44', 'ml-dsa-65'];
const oids = { 'ml-dsa-44': 17, 'ml-dsa-65': 18 };
const message = utf8('the first 5 entries of hub.example/audit');

/** The key that FIPS 204 makes of this seed: PKCS #8 with the seed alone (RFC 9881). */
function keyOfSeed(kind: MlDsaKind, seed: Uint8Array): KeyObject {
  const head = Buffer.from(`3034020100300b06096086480165030403${oids[kind].toString(16)}04228020`, 'hex');
  return createPrivateKey({ key: Buffer.concat([head, seed]), format: 'der', type: 'pkcs8' });
}

for (const kind of kinds) {
  test(`${kind}: a seed gives the same key in both implementations`, () => {
    const seed = Buffer.alloc(32, 7);
    const other = noble('keygen', kind, { seed });
    const own = createPublicKey(keyOfSeed(kind, seed));
    assert.deepEqual(Buffer.from(rawMlDsaKey(kind, own)), bytesOf(other['publicKey']));
  });

  test(`${kind}: each implementation verifies what the other one signed, and no other message`, async () => {
    const signer = mlDsaSigner(keyOfSeed(kind, Buffer.alloc(32, 9)), kind);
    const signature = await signer.sign(message);
    const publicKey = rawMlDsaKey(kind, signer.publicKey);
    assert.deepEqual(noble('verify', kind, { message, signature, publicKey }), { valid: true });
    assert.deepEqual(noble('verify', kind, { message: utf8('another'), signature, publicKey }), { valid: false });
    const { secretKey } = noble('keygen', kind, { seed: Buffer.alloc(32, 9) });
    const { signature: theirs } = noble('sign', kind, { message, secretKey: bytesOf(secretKey) });
    assert.equal(verifyMlDsa(kind, signer.publicKey, message, bytesOf(theirs)), true);
    assert.equal(verifyMlDsa(kind, signer.publicKey, utf8('another'), bytesOf(theirs)), false);
  });

  test(`${kind}: a signature that is changed, cut, longer or of another key is refused`, async () => {
    const signer = mlDsaSigner(keyOfSeed(kind, Buffer.alloc(32, 1)), kind);
    const signature = await signer.sign(message);
    const changed = Uint8Array.from(signature);
    changed[100] = (changed[100] ?? 0) ^ 1;
    const other = createPublicKey(keyOfSeed(kind, Buffer.alloc(32, 2)));
    assert.equal(verifyMlDsa(kind, signer.publicKey, message, signature), true);
    assert.equal(verifyMlDsa(kind, signer.publicKey, message, changed), false);
    assert.equal(verifyMlDsa(kind, signer.publicKey, message, signature.subarray(1)), false);
    assert.equal(verifyMlDsa(kind, signer.publicKey, message, Buffer.concat([signature, Buffer.of(0)])), false);
    assert.equal(verifyMlDsa(kind, other, message, signature), false);
  });

  test(`${kind}: a key has one form, and a key of another kind is no key`, () => {
    const key = createPublicKey(keyOfSeed(kind, Buffer.alloc(32, 3)));
    assert.ok(mlDsaKeyOf(kind, rawMlDsaKey(kind, key)).equals(key));
    const another = kind === 'ml-dsa-44' ? generateKeyPairSync('ml-dsa-65') : generateKeyPairSync('ml-dsa-44');
    for (const { publicKey } of [generateKeyPairSync('ed25519'), another]) {
      assert.throws(() => rawMlDsaKey(kind, publicKey), CoreError);
      assert.throws(() => verifyMlDsa(kind, publicKey, message, new Uint8Array(0)), CoreError);
    }
    assert.throws(() => mlDsaKeyOf(kind, new Uint8Array(1000)), CoreError);
  });
}
