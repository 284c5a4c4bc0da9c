// Signatures of files: vectors that evmctl made, and ECDSA over a digest compared with Node's own.
import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { DerReader } from '../der.ts';
import { ImaFileKey, parseImaSignature } from './ima-signature.ts';
import { PrehashedEcdsaKey } from './prehashed-ecdsa.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/attest/ima-signature');
const vectorSchema = z.strictObject({
  comment: z.string(),
  key: z.string(),
  algorithm: z.string(),
  digest: z.string(),
  signature: z.string(),
});

for (const file of readdirSync(folder)) {
  const vector = vectorSchema.parse(JSON.parse(readFileSync(join(folder, file), 'utf8')));
  test(`IMA signature vector ${file}: ${vector.comment}`, () => {
    const bytes = (hex: string) => Buffer.from(hex, 'hex');
    const key = new ImaFileKey(createPublicKey({ key: bytes(vector.key), format: 'der', type: 'spki' }));
    const parsed = parseImaSignature(bytes(vector.signature));
    const isRight =
      parsed !== undefined && parsed.algorithm === vector.algorithm && key.verify(parsed, bytes(vector.digest));
    assert.equal(isRight, file.startsWith('valid-'));
    if (file.startsWith('valid-')) assert.equal(parsed?.keyId, key.keyId);
  });
}

test('ECDSA over a digest accepts what Node signs, and nothing else', () => {
  for (const [namedCurve, hash] of [
    ['prime256v1', 'sha256'],
    ['prime256v1', 'sha512'],
    ['secp384r1', 'sha256'],
    ['secp521r1', 'sha512'],
  ] as const) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
    const key = PrehashedEcdsaKey.of(publicKey);
    for (let round = 0; round < 20; round += 1) {
      const data = Buffer.from(`file ${round}`);
      const reader = new DerReader(sign(hash, data, privateKey), 'signature').inside();
      const number = () => BigInt(`0x${Buffer.from(reader.integer()).toString('hex')}`);
      const [r, s] = [number(), number()];
      const digest = createHash(hash).update(data).digest();
      assert.equal(key?.verify(digest, r, s), true, `${namedCurve} ${hash} ${round}`);
      assert.equal(key.verify(createHash(hash).update('other').digest(), r, s), false);
      for (const [badR, badS] of [
        [s, r],
        [0n, s],
        [r, 0n],
        [r + 1n, s],
        [1n << 600n, s],
      ] as const)
        assert.equal(key.verify(digest, badR, badS), false);
    }
  }
});
