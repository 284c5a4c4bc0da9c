import assert from 'node:assert/strict';
import { createECDH, createPrivateKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseHex, toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { HPKE_PLAINTEXT_LENGTH_MAX } from './hpke-schedule.ts';
import { hpkeOpen, hpkeOpenWithSharedSecret, hpkeSeal } from './hpke.ts';
import { encodeP256Point, parseP256Point } from './p256-point.ts';

const vectorFolder = new URL('../../../spec/vectors/identity/hpke/', import.meta.url);

const vectorSchema = z.strictObject({
  comment: z.string(),
  outcome: z.enum(['opens', 'hpke-open']),
  info: z.string(),
  aad: z.string(),
  recipientPrivateKey: z.string(),
  recipientPublicKey: z.string(),
  encapsulatedKey: z.string(),
  ciphertext: z.string(),
  plaintext: z.optional(z.string()),
  ephemeralPrivateKey: z.optional(z.string()),
});

const hex = (text: string) => parseHex(text, 'vector');

function privateKeyFrom(scalar: Uint8Array): KeyObject {
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(scalar);
  const point = curve.getPublicKey();
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    d: Buffer.from(scalar).toString('base64url'),
    x: point.subarray(1, 33).toString('base64url'),
    y: point.subarray(33).toString('base64url'),
  };
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

const refused = (code: string) => (error: unknown) => error instanceof CoreError && error.code === code;

for (const name of readdirSync(vectorFolder)) {
  const vector = parseJson(readFileSync(new URL(name, vectorFolder)), vectorSchema, name);
  test(`HPKE vector ${name}: ${vector.comment}`, () => {
    const open = () =>
      hpkeOpen({
        recipientPrivateKey: privateKeyFrom(hex(vector.recipientPrivateKey)),
        encapsulatedKey: hex(vector.encapsulatedKey),
        ciphertext: hex(vector.ciphertext),
        info: hex(vector.info),
        aad: hex(vector.aad),
      });
    if (vector.outcome !== 'opens') return assert.throws(open, refused(vector.outcome));
    const plaintext = hex(vector.plaintext ?? '');
    assert.equal(toHex(open()), toHex(plaintext));
    const sealed = hpkeSeal({
      recipientPublicKey: parseP256Point(hex(vector.recipientPublicKey)),
      info: hex(vector.info),
      aad: hex(vector.aad),
      plaintext,
      ephemeralPrivateKey: privateKeyFrom(hex(vector.ephemeralPrivateKey ?? '')),
    });
    assert.equal(toHex(sealed.encapsulatedKey), vector.encapsulatedKey);
    assert.equal(toHex(sealed.ciphertext), vector.ciphertext);
  });
}

const recipient = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const info = utf8('edgekeep model key v1');
const aad = utf8('lease-1');

test('sealed bytes open with the same key, info and aad', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array(), fc.uint8Array(), (plaintext, info, aad) => {
      const sealed = hpkeSeal({ recipientPublicKey: recipient.publicKey, info, aad, plaintext });
      const opened = hpkeOpen({ recipientPrivateKey: recipient.privateKey, info, aad, ...sealed });
      assert.equal(toHex(opened), toHex(plaintext));
    }),
    { numRuns: 50 },
  );
});

test('a message never opens after one of its bytes changed', () => {
  const sealed = hpkeSeal({ recipientPublicKey: recipient.publicKey, info, aad, plaintext: new Uint8Array(32) });
  for (const field of ['encapsulatedKey', 'ciphertext'] as const) {
    for (let at = 0; at < sealed[field].length; at++) {
      const changed = Uint8Array.from(sealed[field]);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      assert.throws(
        () => hpkeOpen({ recipientPrivateKey: recipient.privateKey, info, aad, ...sealed, [field]: changed }),
        refused('hpke-open'),
      );
    }
  }
});

test('random bytes are refused with hpke-open', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (encapsulatedKey, ciphertext) => {
      assert.throws(
        () => hpkeOpen({ recipientPrivateKey: recipient.privateKey, info, aad, encapsulatedKey, ciphertext }),
        refused('hpke-open'),
      );
    }),
  );
});

test('another private key does not open it', () => {
  const sealed = hpkeSeal({ recipientPublicKey: recipient.publicKey, info, aad, plaintext: new Uint8Array(32) });
  assert.throws(() => hpkeOpen({ recipientPrivateKey: other.privateKey, info, aad, ...sealed }), refused('hpke-open'));
});

test('two seals of one plaintext share neither ephemeral key nor ciphertext', () => {
  const seal = () => hpkeSeal({ recipientPublicKey: recipient.publicKey, info, aad, plaintext: new Uint8Array(32) });
  const [one, two] = [seal(), seal()];
  assert.notEqual(toHex(one.encapsulatedKey), toHex(two.encapsulatedKey));
  assert.notEqual(toHex(one.ciphertext), toHex(two.ciphertext));
});

test('a key on another curve and a plaintext over the limit are refused', () => {
  const wrong = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const plaintext = new Uint8Array(1);
  const publicKeySeal = () => hpkeSeal({ recipientPublicKey: wrong.publicKey, info, aad, plaintext });
  assert.throws(publicKeySeal, refused('key-invalid'));
  const sealed = hpkeSeal({ recipientPublicKey: recipient.publicKey, info, aad, plaintext });
  const open = () => hpkeOpen({ recipientPrivateKey: wrong.privateKey, info, aad, ...sealed });
  assert.throws(open, refused('key-invalid'));
  const long = new Uint8Array(HPKE_PLAINTEXT_LENGTH_MAX + 1);
  const sealLong = () => hpkeSeal({ recipientPublicKey: recipient.publicKey, info, aad, plaintext: long });
  assert.throws(sealLong, refused('bytes-too-long'));
});

test('a point goes in and out unchanged', () => {
  const point = encodeP256Point(recipient.publicKey);
  assert.equal(toHex(encodeP256Point(parseP256Point(point))), toHex(point));
});

test('a key agreement made elsewhere opens the same, is overwritten, and one byte less is refused', () => {
  const plaintext = utf8('a model key');
  const sealed = hpkeSeal({ recipientPublicKey: recipient.publicKey, info, aad, plaintext });
  const publicKey = parseP256Point(sealed.encapsulatedKey);
  const sharedSecret = diffieHellman({ privateKey: recipient.privateKey, publicKey });
  const cut = sharedSecret.subarray(1);
  const input = { recipientPublicKey: recipient.publicKey, info, aad, ...sealed };
  assert.throws(() => hpkeOpenWithSharedSecret({ ...input, sharedSecret: cut }), refused('hpke-open'));
  assert.equal(toHex(hpkeOpenWithSharedSecret({ ...input, sharedSecret })), toHex(plaintext));
  assert.ok(sharedSecret.every((byte) => byte === 0));
  assert.throws(() => hpkeOpenWithSharedSecret({ ...input, sharedSecret }), refused('hpke-open'));
});
