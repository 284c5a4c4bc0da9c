import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndorsementKeyKind } from '@edgekeep/core/tpm/template';
import type { Answer, Refusal } from '../hub-api.ts';
import { chooseEndorsementKey, enrollByAnyKey } from './endorsement-choice.ts';

class FakeTpm {
  used: EndorsementKeyKind | undefined;
  readonly #certified: readonly EndorsementKeyKind[];

  constructor(certified: readonly EndorsementKeyKind[]) {
    this.#certified = certified;
  }

  async certifiedKinds() {
    return this.#certified;
  }

  async useEndorsementKey(kind: EndorsementKeyKind) {
    this.used = kind;
  }
}

const both = ['p-384', 'rsa-2048'] as const;
const fresh = { wanted: 'preferred', enrolledWith: undefined, isEnrolled: false } as const;
const refusal = (code: string): Refusal => ({
  kind: 'refused',
  code,
  message: code,
  reasons: [],
  attestationResult: undefined,
});

test('the settings decide, then the enrollment, then the certificates in the TPM', async () => {
  const cases = [
    [both, fresh, 'p-384', ['rsa-2048']],
    [['p-256'], fresh, 'p-256', []],
    [[], fresh, 'rsa-2048', []],
    [both, { ...fresh, wanted: 'rsa-2048' }, 'rsa-2048', []],
    [both, { ...fresh, enrolledWith: 'rsa-2048', isEnrolled: true }, 'rsa-2048', []],
    // An agent of before kept no record of its TPM.
    [both, { ...fresh, isEnrolled: true }, 'rsa-2048', []],
  ] as const;
  for (const [certified, asked, kind, others] of cases) {
    const tpm = new FakeTpm(certified);
    assert.deepEqual(await chooseEndorsementKey(tpm, asked), { kind, others: [...others] });
    assert.equal(tpm.used, kind);
  }
});

test('a hub that expects another key of this TPM gets that one, and where none is taken the first refusal counts', async () => {
  const tpm = new FakeTpm(both);
  const choice = await chooseEndorsementKey(tpm, fresh);
  const taken = async (): Promise<Answer<string>> =>
    tpm.used === 'rsa-2048' ? { kind: 'ok', value: 'by RSA' } : refusal('enrollment-refused');
  assert.deepEqual(await enrollByAnyKey(tpm, choice, taken), { kind: 'ok', value: 'by RSA' });
  assert.equal(tpm.used, 'rsa-2048');
  await tpm.useEndorsementKey('p-384');
  const tried: (string | undefined)[] = [];
  const never = async () => {
    tried.push(tpm.used);
    return { ...refusal('enrollment-refused'), message: String(tpm.used) };
  };
  const answer = await enrollByAnyKey(tpm, choice, never);
  assert.deepEqual([tried, answer.kind === 'refused' && answer.message, tpm.used], [[...both], 'p-384', 'p-384']);
  // Another refusal is not about the key.
  tried.length = 0;
  const busy = async () => {
    tried.push(tpm.used);
    return refusal('rate-limited');
  };
  await enrollByAnyKey(tpm, choice, busy);
  assert.deepEqual(tried, ['p-384']);
});
