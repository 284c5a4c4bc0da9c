import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { attestationKeyOf } from '../attest/quote.ts';
import { testAttester } from '../attest/testing.ts';
import { ByteWriter } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { ecdsaDerToRaw } from '../jws.ts';
import { type NvAttest } from '../tpm/attest.ts';
import { encodeAttest } from '../tpm/testing-attest.ts';
import { encodeTpmSignature } from '../tpm/signature.ts';
import { leaseCounter, verifyLeaseCounter } from './lease-counter.ts';

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
const attester = testAttester(newKey());
const key = attestationKeyOf(attester.publicArea, 'endorsement');
const qualifyingData = createHash('sha256').update('an ask').digest();
const boot = { resetCount: 7, restartCount: 2 };
const attest: NvAttest = {
  kind: 'nv',
  qualifiedSigner: key.qualifiedName ?? new Uint8Array(0),
  extraData: qualifyingData,
  clockInfo: { clock: 1_000n, ...boot, safe: true },
  firmwareVersion: 1n,
  indexName: leaseCounter.name,
  offset: 0,
  contents: new ByteWriter().u64(41n).finish(),
};

function signed(changes: Partial<NvAttest> = {}, privateKey: KeyObject = attester.privateKey) {
  const bytes = encodeAttest({ ...attest, ...changes });
  const raw = ecdsaDerToRaw(sign('sha256', bytes, privateKey), 32);
  const signature = { kind: 'ecdsa', hash: 'sha256', r: raw.subarray(0, 32), s: raw.subarray(32) } as const;
  return { attest: bytes, signature: encodeTpmSignature(signature) };
}

const expected = { key, qualifyingData, boot };

test('a counter that the attestation key signed over the ask, in the boot of the quote, has its value', () => {
  assert.deepEqual(verifyLeaseCounter(signed(), expected), { kind: 'verified', value: 41n });
});

test('a counter of another key, ask, boot, index or extent is refused, each with its reason', () => {
  const otherKey = attestationKeyOf(testAttester(newKey()).publicArea, 'endorsement');
  const otherName = Uint8Array.from(leaseCounter.name);
  otherName[33] = (otherName[33] ?? 0) ^ 1;
  const cases: readonly (readonly [ReturnType<typeof signed>, RegExp])[] = [
    [signed({}, newKey()), /does not verify/],
    [signed({ qualifiedSigner: otherKey.qualifiedName ?? new Uint8Array(0) }), /another key/],
    [signed({ extraData: new Uint8Array(32) }), /qualifying data/],
    [signed({ clockInfo: { ...attest.clockInfo, resetCount: 8 } }), /another boot/],
    [signed({ clockInfo: { ...attest.clockInfo, restartCount: 3 } }), /another boot/],
    [signed({ indexName: otherName }), /is not the lease counter/],
    [signed({ contents: new Uint8Array(4) }), /not the whole/],
    [signed({ offset: 1 }), /not the whole/],
  ];
  for (const [counter, says] of cases) {
    const verdict = verifyLeaseCounter(counter, expected);
    assert.ok(verdict.kind === 'refused', String(says));
    assert.equal(verdict.reasons[0]?.code, 'lease-counter-refused');
    assert.match(verdict.reasons[0]?.message ?? '', says);
  }
});

test('a counter is refused under a key whose qualified name is not known', () => {
  const { publicKey } = key;
  assert.equal(verifyLeaseCounter(signed(), { ...expected, key: { publicKey } }).kind, 'refused');
});

test('a cut signature throws an error of ours', () => {
  const { attest: bytes, signature } = signed();
  assert.throws(() => verifyLeaseCounter({ attest: bytes, signature: signature.subarray(1) }, expected), CoreError);
});
