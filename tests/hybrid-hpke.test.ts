// X-Wing and HPKE over it, against two other implementations (@noble/post-quantum, and hpke over Web Cryptography) and the draft's own vector.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_MLKEM768_X25519 } from 'hpke';
import * as fc from 'fast-check';
import { parseHex, toHex, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { hybridOpen, hybridSeal } from '@edgekeep/core/identity/hybrid-hpke';
import {
  XWING_SEED_LENGTH,
  xwingDecapsulate,
  xwingEncapsulate,
  xwingPublicKey,
} from '@edgekeep/core/post-quantum/xwing';
import { bytesOf, noble } from './support/noble.ts';

const suite = new CipherSuite(KEM_MLKEM768_X25519, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
const encapsulatedLength = 1_120;
const info = utf8('info of this test');
const secondSecret = { psk: randomBytes(32), pskId: utf8('psk of this test') };
const refused = (code: string) => (error: unknown) => error instanceof CoreError && error.code === code;

test('the first vector of draft-connolly-cfrg-xwing-kem: its secret follows from its two seeds', () => {
  const seed = parseHex('7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26', 'seed');
  const encapsulation =
    '3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e235b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2';
  const publicKey = xwingPublicKey(seed);
  const seeds = { publicKey, seed: parseHex(encapsulation, 'seed of the encapsulation') };
  const { ciphertext } = noble('encapsulate', 'x-wing', seeds);
  assert.equal(
    toHex(xwingDecapsulate(seed, bytesOf(ciphertext))),
    'd2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384',
  );
});

test('keys and secrets are those of @noble/post-quantum, both ways', () => {
  const seed = randomBytes(XWING_SEED_LENGTH);
  const publicKey = xwingPublicKey(seed);
  assert.equal(publicKey.length, 1_216);
  assert.deepEqual(bytesOf(noble('keygen', 'x-wing', { seed })['publicKey']), Buffer.from(publicKey));
  const ours = xwingEncapsulate(publicKey);
  assert.equal(ours.encapsulatedKey.length, encapsulatedLength);
  const { sharedSecret } = noble('decapsulate', 'x-wing', { ciphertext: ours.encapsulatedKey, secretKey: seed });
  assert.equal(toHex(ours.sharedSecret), bytesOf(sharedSecret).toString('hex'));
  const theirs = noble('encapsulate', 'x-wing', { publicKey });
  const opened = xwingDecapsulate(seed, bytesOf(theirs['ciphertext']));
  assert.equal(toHex(opened), bytesOf(theirs['sharedSecret']).toString('hex'));
});

for (const [mode, psk] of [
  ['base', undefined],
  ['psk', secondSecret],
] as const) {
  test(`in mode ${mode}, hpke opens what ours seals, and ours what hpke seals`, async () => {
    const seed = randomBytes(XWING_SEED_LENGTH);
    const publicKey = xwingPublicKey(seed);
    const theirKey = await suite.DeserializePrivateKey(seed);
    const extra = psk === undefined ? { info } : { info, psk: psk.psk, pskId: psk.pskId };
    const plaintext = randomBytes(32);
    const ours = hybridSeal({ recipientPublicKey: publicKey, info, psk, plaintext });
    const theirKeys = { privateKey: theirKey, publicKey: await suite.DeserializePublicKey(publicKey) };
    const opened = await suite.Open(theirKeys, ours.encapsulatedKey, ours.ciphertext, extra);
    assert.equal(toHex(opened), plaintext.toString('hex'));
    const theirs = await suite.Seal(theirKeys.publicKey, plaintext, extra);
    const { encapsulatedSecret: encapsulatedKey, ciphertext } = theirs;
    assert.equal(toHex(hybridOpen({ seed, encapsulatedKey, ciphertext, info, psk })), plaintext.toString('hex'));
  });
}

test('another key, info, psk or psk id, no psk, and each changed byte are refused', () => {
  const seed = randomBytes(XWING_SEED_LENGTH);
  const sealed = hybridSeal({
    recipientPublicKey: xwingPublicKey(seed),
    info,
    psk: secondSecret,
    plaintext: randomBytes(32),
  });
  const good = { ...sealed, seed, info, psk: secondSecret };
  hybridOpen(good).fill(0);
  const others = [
    { seed: randomBytes(XWING_SEED_LENGTH) },
    { info: utf8('another') },
    { psk: undefined },
    { psk: { ...secondSecret, psk: randomBytes(32) } },
    { psk: { ...secondSecret, pskId: utf8('another') } },
    { encapsulatedKey: sealed.encapsulatedKey.subarray(1) },
    { ciphertext: sealed.ciphertext.subarray(1) },
    { ciphertext: sealed.ciphertext.subarray(0, 8) },
  ];
  for (const other of others) assert.throws(() => hybridOpen({ ...good, ...other }), refused('hpke-open'));
  fc.assert(
    fc.property(
      fc.nat(encapsulatedLength + sealed.ciphertext.length - 1),
      fc.integer({ min: 1, max: 255 }),
      (at, by) => {
        const encapsulatedKey = Uint8Array.from(sealed.encapsulatedKey);
        const ciphertext = Uint8Array.from(sealed.ciphertext);
        const inKey = at < encapsulatedLength;
        const bytes = inKey ? encapsulatedKey : ciphertext;
        const index = inKey ? at : at - encapsulatedLength;
        bytes[index] = (bytes[index] ?? 0) ^ by;
        // RFC 7748: the highest bit of an X25519 key is ignored, and covered by the combiner all the same.
        assert.throws(() => hybridOpen({ ...good, encapsulatedKey, ciphertext }), refused('hpke-open'));
      },
    ),
    { numRuns: 300 },
  );
});

test('bytes that are no key are refused: a wrong length, coefficients of ML-KEM that are not reduced, a point of small order', () => {
  const good = xwingPublicKey(randomBytes(XWING_SEED_LENGTH));
  const unreduced = Uint8Array.from(good).fill(0xff, 0, 3);
  const smallOrder = Uint8Array.from(good).fill(0, 1184);
  for (const key of [good.subarray(1), new Uint8Array(0), unreduced, smallOrder])
    assert.throws(() => xwingEncapsulate(key), refused('key-invalid'));
  assert.throws(() => xwingPublicKey(randomBytes(31)), refused('key-invalid'));
});
