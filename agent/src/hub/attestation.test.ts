import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { always } from '@edgekeep/core/access/trust';
import { type AttestationResult, signAttestationResult } from '@edgekeep/core/attest/ear';
import { signerFromKey } from '@edgekeep/core/signer';
import { Prover } from '../attest/attest.ts';
import { attest, type AttestationDependencies } from './attestation.ts';

const hub = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const nowSeconds = 1_800_000_000;
const nonce = new Uint8Array(32).fill(3);
const challenge = new Uint8Array(32).fill(4);

const result: AttestationResult = {
  issuedAt: nowSeconds,
  verifier: { developer: 'edgekeep', build: '0.1.0' },
  nonce,
  subject: 'press-7',
  status: 'affirming',
  vector: { 'instance-identity': 2, executables: 2 },
  policyId: 'line 1.0.0',
  tier: 'tpm',
  pcrDigest: 'ab'.repeat(32),
  pcrs: [0, 4, 14],
  resetCount: 7,
  reasons: [],
};
const signed = (changed: Partial<AttestationResult> = {}, key = hub) =>
  signAttestationResult({ ...result, ...changed }, signerFromKey(key), 'hub-1');
const boundWith = async (token: Promise<string>) => ({ state: 'active', attestation: { token: await token, nonce } });

/** A device of the test; `answer` is what the hub says to evidence that is made now. */
function device(answer: () => Promise<string>): {
  readonly dependencies: AttestationDependencies;
  readonly asked: string[];
} {
  const asked: string[] = [];
  const attestNow = async () =>
    ({ kind: 'software', statement: new Uint8Array(1), signature: new Uint8Array(1) }) as const;
  const dependencies: AttestationDependencies = {
    deviceId: 'press-7',
    prover: new Prover({
      rootOfTrust: { attest: attestNow },
      eventLog: () => new Uint8Array(1),
      imaLogFile: undefined,
    }),
    keys: [always(createPublicKey(hub))],
    clock: () => nowSeconds * 1_000,
    link: {
      withChallenge: (act) => {
        const send = async ({ path }: { readonly path: string }) => {
          asked.push(path);
          const body = { attestationResult: await answer(), state: 'suspect' };
          return { status: 200, headers: {}, body: Buffer.from(JSON.stringify(body)) };
        };
        return act({ nonce: challenge, pcrs: [0], exporter: new Uint8Array(32), send, known: undefined });
      },
    },
  };
  return { dependencies, asked };
}

test('the result that came with the binding is taken without another quote or question', async () => {
  const { dependencies, asked } = device(() => Promise.reject(new Error('not asked')));
  const answer = await attest(dependencies, await boundWith(signed()));
  assert.ok(answer.kind === 'ok');
  assert.deepEqual([answer.value.state, answer.value.result.status], ['active', 'affirming']);
  assert.deepEqual(asked, []);
});

test('without one, as from a hub of the version before, the device makes evidence and asks', async () => {
  const { dependencies, asked } = device(() => signed({ nonce: challenge }));
  for (const bound of [undefined, { state: 'active', attestation: undefined }]) {
    const answer = await attest(dependencies, bound);
    assert.ok(answer.kind === 'ok');
    assert.equal(answer.value.state, 'suspect');
  }
  assert.deepEqual(asked, ['/v1/attest', '/v1/attest']);
});

test('a result about other evidence, another device, of another verifier or another time is not taken', async () => {
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const { dependencies } = device(() => signed({ nonce }));
  for (const token of [
    signed({ nonce: challenge }),
    signed({ nonce: new Uint8Array(32) }),
    signed({ subject: 'press-8' }),
    signed({}, stranger),
    signed({ issuedAt: nowSeconds - 4_000 }),
    signed({ issuedAt: nowSeconds + 400 }),
  ]) {
    await assert.rejects(attest(dependencies, await boundWith(token)), { code: 'hub-answer-invalid' });
  }
  // Nor one to a challenge that is not this one.
  await assert.rejects(attest(dependencies), { code: 'hub-answer-invalid' });
});

// SECURITY.md: HUB-91
test('a result of a stolen key is not taken alone, at no time that it names', async () => {
  const { dependencies } = device(() => Promise.reject(new Error('not asked')));
  for (const untilSeconds of [nowSeconds - 60, nowSeconds + 600]) {
    const keys = dependencies.keys.map((key) => ({ ...key, untilSeconds, compromised: true }));
    const backdated = await boundWith(signed({ issuedAt: nowSeconds - 120 }));
    await assert.rejects(attest({ ...dependencies, keys }, backdated), /was stolen/);
  }
});
