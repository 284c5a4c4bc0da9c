import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { CoreError } from '../error.ts';
import { signerFromKey } from '../signer.ts';
import {
  type AttestationResult,
  attestationResultOf,
  EAR_BYTES_MAX,
  EAR_LAYERS_MAX,
  signAttestationResult,
  verifyAttestationResult,
} from './ear.ts';
import { fixedKey } from './testing.ts';
import { vectorsOf, vectorWindowSchema } from './testing-vectors.ts';
import { statusOfVector, trustStatusOf } from './trust-vector.ts';

const common = z.object({
  comment: z.string(),
  key: z.string(),
  token: z.string(),
  window: vectorWindowSchema,
});
const valid = common.extend({ verdict: z.enum(['verified', 'refused']) });
const invalid = common.extend({ code: z.string() });
const keyOf = (hex: string) => createPublicKey({ key: Buffer.from(hex, 'hex'), format: 'der', type: 'spki' });

describe('attestation result vectors', () => {
  for (const vector of vectorsOf('result', 'valid', valid)) {
    test(`valid/${vector.file} is ${vector.verdict}: ${vector.comment}`, () => {
      assert.equal(verifyAttestationResult(vector.token, keyOf(vector.key), vector.window).kind, vector.verdict);
    });
  }
  for (const vector of vectorsOf('result', 'invalid', invalid)) {
    test(`invalid/${vector.file} is refused: ${vector.comment}`, () => {
      assert.throws(
        () => verifyAttestationResult(vector.token, keyOf(vector.key), vector.window),
        (error) => error instanceof CoreError && error.code === vector.code,
      );
    });
  }
});

const key = fixedKey(9);
const result: AttestationResult = {
  issuedAt: 1_800_000_000,
  verifier: { developer: 'edgekeep', build: '0.1.0' },
  nonce: new Uint8Array(32).fill(3),
  subject: 'press-07',
  status: 'contraindicated',
  vector: { 'instance-identity': 2, executables: 96 },
  policyId: 'line 1.0.0',
  tier: 'tpm',
  pcrDigest: 'ab'.repeat(32),
  pcrs: [0, 4, 14],
  resetCount: 7,
  reasons: [{ code: 'event-differs', message: 'PCR 14: an event differs', pcr: 14, event: 19 }],
};
const window = { nowSeconds: 1_800_000_010, maxAgeSeconds: 60, maxSkewSeconds: 5 };

test('a signed result comes back as it was', async () => {
  const verdict = verifyAttestationResult(
    await signAttestationResult(result, signerFromKey(key), 'hub-1'),
    createPublicKey(key),
    window,
  );
  assert.deepEqual(
    verdict.kind === 'verified' ? { ...verdict.result, nonce: Uint8Array.from(verdict.result.nonce) } : verdict,
    result,
  );
});

test('the longest result there can be fits the limit', async () => {
  const reasons = Array.from({ length: 4 }, () => ({
    code: 'event-differs' as const,
    message: 'x'.repeat(600),
    pcr: 14,
    event: 19,
  }));
  const maxInteger = Number.MAX_SAFE_INTEGER;
  const layers = Array.from({ length: EAR_LAYERS_MAX }, () => ({
    layer: maxInteger,
    index: maxInteger,
    svn: maxInteger,
    'tcb-info': 'ab'.repeat(32),
  }));
  // Layers belong to a DICE device, reasons of the tier to a TPM: no result has both.
  const tierReasons = Array.from({ length: 4 }, () => 'x'.repeat(300));
  for (const own of [{ layers }, { tierReasons }]) {
    const long = { ...result, ...own, reasons, policyId: 'p'.repeat(256), subject: 's'.repeat(128) };
    const token = await signAttestationResult(long, signerFromKey(key), 'hub-1');
    assert.ok(token.length < EAR_BYTES_MAX, `${token.length}`);
  }
});

// SECURITY.md: HUB-108
test('a message that is cut in the middle of a character is in a signed result all the same', async () => {
  const message = `${'x'.repeat(599)}\u{1f600}`;
  const cut = attestationResultOf(
    {
      ...result,
      reasons: [{ code: 'event-differs', message }],
      pcrSelection: [0],
      restartCount: 0,
      clock: 0n,
      safe: true,
    },
    { ...result, tierReasons: [`${'x'.repeat(299)}\u{1f600}`] },
  );
  const token = await signAttestationResult(cut, signerFromKey(key), 'hub-1');
  assert.equal(verifyAttestationResult(token, createPublicKey(key), window).kind, 'verified');
});

test('what is to be known of the tier comes back, and a result without any is as it always was', async () => {
  const tierReasons = ['"CN=TPM CA 003" ended at 2025-07-25'];
  const token = await signAttestationResult({ ...result, tierReasons }, signerFromKey(key), 'hub-1');
  const window = { nowSeconds: result.issuedAt, maxAgeSeconds: 60, maxSkewSeconds: 5 };
  const verdict = verifyAttestationResult(token, createPublicKey(key), window);
  assert.deepEqual(verdict.kind === 'verified' && verdict.result.tierReasons, tierReasons);
  const without = await signAttestationResult(result, signerFromKey(key), 'hub-1');
  assert.ok(!Buffer.from(without.split('.')[1] ?? '', 'base64url').includes('tier-reasons'));
});

test('a status that claims more than its vector is never signed', async () => {
  await assert.rejects(signAttestationResult({ ...result, status: 'affirming' }, signerFromKey(key), 'hub-1'), {
    code: 'attestation-result-invalid',
  });
});

test('AR4SI tiers have the borders of the draft', () => {
  const tiers = [-128, -97, -96, -33, -32, -2, -1, 0, 1, 2, 31, 32, 95, 96, 127].map(trustStatusOf);
  const [c, w, a, n] = ['contraindicated', 'warning', 'affirming', 'none'];
  assert.deepEqual(tiers, [c, c, w, w, a, a, n, n, n, a, a, w, w, c, c]);
});

test('a vector without a claim affirms nothing', () => {
  assert.equal(statusOfVector({}), 'warning');
});
