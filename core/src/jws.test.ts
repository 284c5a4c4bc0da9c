import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { toHex, utf8 } from './bytes.ts';
import { CoreError } from './error.ts';
import { ecdsaDerToRaw, ecdsaRawToDer, parseJws, signJws, verifyJws } from './jws.ts';
import { signerFromKey } from './signer.ts';

const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed25519 = generateKeyPairSync('ed25519');
const header = { typ: 'test+jwt', kid: 'k1' };
const limits = { typ: 'test+jwt', maxBytes: 4096 };

for (const { publicKey, privateKey } of [p256, ed25519]) {
  test(`a token signed with ${publicKey.asymmetricKeyType} verifies, and not with a byte changed`, async () => {
    const token = await signJws(utf8('{"a":1}'), signerFromKey(privateKey), header);
    const verdict = verifyJws(token, publicKey, limits);
    assert.equal(verdict.kind === 'verified' ? Buffer.from(verdict.payload).toString() : '', '{"a":1}');
    for (let at = 0; at < token.length; at += 1) {
      const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
      assert.notEqual(kindOf(changed), 'verified', `character ${at}`);
    }
    function kindOf(changed: string): string {
      try {
        return verifyJws(changed, publicKey, limits).kind;
      } catch (error) {
        if (error instanceof CoreError) return error.code;
        throw error;
      }
    }
  });
}

test('a token is refused under a key of another type, and as a token of another type', async () => {
  const token = await signJws(utf8('{}'), signerFromKey(p256.privateKey), header);
  assert.equal(verifyJws(token, ed25519.publicKey, limits).kind, 'refused');
  assert.equal(verifyJws(token, p256.publicKey, { ...limits, typ: 'other+jwt' }).kind, 'refused');
});

test('P-384 and RSA keys sign and verify no tokens', async () => {
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  await assert.rejects(signJws(utf8('{}'), signerFromKey(p384.privateKey), header), { code: 'key-invalid' });
  const token = await signJws(utf8('{}'), signerFromKey(p256.privateKey), header);
  assert.throws(() => verifyJws(token, p384.publicKey, limits), { code: 'key-invalid' });
});

test('a token over the limit is refused before it is decoded', () => {
  assert.throws(() => parseJws('a'.repeat(4097), 4096), { code: 'token-invalid' });
});

test('random text is never a token', () => {
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => assert.throws(() => parseJws(text, 4096), CoreError)));
});

test('ECDSA signatures go from DER to r || s and back', () => {
  for (let round = 0; round < 64; round += 1) {
    const der = sign('sha256', Uint8Array.of(round), p256.privateKey);
    const raw = ecdsaDerToRaw(der, 32);
    assert.equal(toHex(ecdsaRawToDer(raw)), toHex(der));
  }
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (raw) =>
      assert.equal(toHex(ecdsaDerToRaw(ecdsaRawToDer(raw), 32)), toHex(raw)),
    ),
  );
});

test('DER with a needless zero, a negative number, a wrong length or bytes behind it is refused', () => {
  for (const hex of [
    '3008020200010202000 1'.replaceAll(' ', ''),
    '3006020181020101',
    '30060201010201',
    '300602010102010100',
    '3106020101020101',
    '',
  ]) {
    assert.throws(() => ecdsaDerToRaw(Buffer.from(hex, 'hex'), 32), { code: 'der-invalid' }, hex);
  }
});

test('random bytes are DER or a named error, and what is DER has one encoding', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        assert.equal(toHex(ecdsaRawToDer(ecdsaDerToRaw(bytes, 32))), toHex(bytes));
      } catch (error) {
        if (!(error instanceof CoreError)) throw error;
      }
    }),
  );
});

test('the public key of a private key verifies too', async () => {
  const token = await signJws(utf8('{}'), signerFromKey(ed25519.privateKey), header);
  assert.equal(verifyJws(token, createPublicKey(ed25519.privateKey), limits).kind, 'verified');
});
