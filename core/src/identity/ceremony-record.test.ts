// The ceremony's record: a reader sees when a line is missing, changed or signed by another key.
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CoreError } from '../error.ts';
import { signerFromKey } from '../signer.ts';
import { appendToRecord, parseRecord } from './ceremony-record.ts';
import { encodeEncryptedKey } from './encrypted-key.ts';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const root = signerFromKey(privateKey);
const made = { at: 1_000, kind: 'root-made', data: { subject: 'Edgekeep root' } } as const;
const signed = { at: 2_000, kind: 'issuing-signed', data: { serial: '4a01' } } as const;

async function threeLines(): Promise<string> {
  const first = await appendToRecord('', made, root);
  return appendToRecord(await appendToRecord(first, signed, root), { ...signed, at: 3_000 }, root);
}

test('a record gives back what was appended, in order', async () => {
  const entries = parseRecord(await threeLines(), root.publicKey);
  assert.deepEqual(
    entries.map(({ index, at, kind }) => [index, at, kind]),
    [
      [0, 1_000, 'root-made'],
      [1, 2_000, 'issuing-signed'],
      [2, 3_000, 'issuing-signed'],
    ],
  );
});

// SECURITY.md: HUB-24
test('a line that is left out, moved, doubled, cut or of another key is refused', async () => {
  const record = await threeLines();
  const [first = '', second = '', third = ''] = record.split('\n');
  const other = signerFromKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  const broken = [
    [first, third],
    [second, third],
    [second, first, third],
    [first, first, second],
    [first, `${second.slice(0, -2)}AA`, third],
    [(await appendToRecord('', made, other)).trim(), second],
    [first, '', second],
  ];
  for (const lines of broken)
    assert.throws(() => parseRecord(`${lines.join('\n')}\n`, root.publicKey), { code: 'token-invalid' });
  assert.throws(() => parseRecord(record.slice(0, -1), root.publicKey), { code: 'token-invalid' });
});

test('nothing is appended to a record that does not verify', async () => {
  const record = (await threeLines()).split('\n').slice(1).join('\n');
  await assert.rejects(appendToRecord(record, signed, root), { code: 'token-invalid' });
});

test('an encrypted key opens with its passphrase only', () => {
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  const pem = encodeEncryptedKey(pkcs8, 'four words of sense', { salt: randomBytes(16), iv: randomBytes(16) });
  const opened = createPrivateKey({ key: pem, passphrase: 'four words of sense' });
  assert.ok(opened.equals(privateKey));
  assert.throws(() => createPrivateKey({ key: pem, passphrase: 'four words of nonsense' }));
});

test('reading any record ends with entries or our own error', async () => {
  const record = await threeLines();
  fc.assert(
    fc.property(fc.nat(record.length - 1), fc.string({ maxLength: 6 }), (at, text) => {
      const spoiled = record.slice(0, at) + text + record.slice(at + text.length);
      try {
        const entries = parseRecord(spoiled, root.publicKey);
        assert.ok(spoiled === record || entries.length < 3);
      } catch (error) {
        assert.ok(error instanceof CoreError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});
