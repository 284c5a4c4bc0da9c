import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { encodeP256Point } from '../identity/p256-point.ts';
import { fixedKey } from './testing.ts';
import { encodeDiceStatement, parseDiceStatement } from './dice-statement.ts';

const sealingKey = encodeP256Point(createPublicKey(fixedKey(7)));
const statement = { qualifyingData: new Uint8Array(32), pcrs: new Map([[14, new Uint8Array(32)]]), sealingKey };

test('a statement is read back as it was written', () => {
  const bytes = encodeDiceStatement(statement);
  assert.deepEqual(encodeDiceStatement(parseDiceStatement(bytes)), bytes);
});

test('a sealing key that is not a point of P-256 is refused: a model key could be sealed to nobody', () => {
  const beside = Uint8Array.from(sealingKey, (octet, at) => (at === 64 ? octet ^ 1 : octet));
  for (const wrong of [beside, new Uint8Array(65), new Uint8Array(65).fill(4), sealingKey.slice(0, 64)])
    assert.throws(() => parseDiceStatement(encodeDiceStatement({ ...statement, sealingKey: wrong })), {
      code: 'evidence-invalid',
    });
});
