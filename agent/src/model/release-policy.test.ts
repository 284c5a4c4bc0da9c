// A model whose publisher says who may get its key: what the agent refuses, before it asks and after a hub answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyRelease } from '@edgekeep/core/access/key-release';
import { encodeReceipt } from '@edgekeep/core/access/receipt';
import { markedNonce } from '@edgekeep/core/access/release-ask';
import { testRelease } from '@edgekeep/core/access/testing-long-receipt';
import { releasedAtMs, testPublisher, testReceiptParts, testTrust } from '@edgekeep/core/access/testing-receipt';
import { boundWrapType } from '@edgekeep/core/access/wrap-context';
import type { Tier } from '@edgekeep/core/attest/tier';
import { toBase64url } from '@edgekeep/core/bytes';
import { type ReleasePolicy, releasePolicyDigest } from '@edgekeep/core/model/release-policy';
import type { Challenge } from '../hub/connection.ts';
import { checkedGrant, requestKey } from './lease.ts';
import { verifiedModel } from './model.ts';
import { testOffer } from './testing-offer.ts';

const releasePolicy: ReleasePolicy = { tiers: ['tpm'], groups: ['line-1'], quorum: 1 };
const digest = releasePolicyDigest(releasePolicy);
const manifest = { type: 'edgekeep-model-manifest/v2', releasePolicy } as const;

/** What a hub sends whose entry names this. */
async function sentBy(named: KeyRelease['releasePolicy']) {
  const release = named === undefined ? {} : { releasePolicy: named };
  const parts = await testReceiptParts({ manifest, release, cosigners: [] });
  const offered = testOffer(parts);
  const seconds = releasedAtMs / 1_000;
  const { manifestDigest: ofManifest } = offered;
  const about = { deviceId: 'press-7', model: 'surface', version: '1.2.0', manifestDigest: ofManifest };
  const times = { notBefore: seconds, renewAfter: seconds + 1_800, notAfter: seconds + 3_600 };
  const answer = {
    lease: { id: 'AAECAwQFBgcICQoLDA0ODw', ...about, ...times },
    wrappedKey: { type: boundWrapType, kind: 'hpke', encapsulatedKey: '', ciphertext: '' },
    attestationResult: parts.attestationResult,
    receipt: toBase64url(encodeReceipt(parts)),
  } as const;
  return { answer, model: verifiedModel(offered, { name: 'surface', use: 'guard' }, [testPublisher.publicKey]) };
}

async function granted(named: KeyRelease['releasePolicy']) {
  const { answer, model } = await sentBy(named);
  const begun = { wallMs: releasedAtMs, elapsedMs: 0 };
  const sent = { answer, wraps: [boundWrapType], shown: testRelease() };
  return checkedGrant({ deviceId: 'press-7', trust: testTrust(0) }, model, sent, begun);
}

// SECURITY.md: DEV-78
test('a key that the publisher permits must be wrapped under the digest of the manifest’s policy, and the receipt must name it', async () => {
  const { context } = await granted({ digest, group: 'line-1' });
  assert.ok(context.purpose === 'model key');
  assert.equal(context.releasePolicy, digest);
});

// SECURITY.md: DEV-78
test('a hub whose entry hides the policy, names another one, or does not meet it, is refused', async () => {
  const wrong: readonly (readonly [string, KeyRelease['releasePolicy'], RegExp])[] = [
    ['hidden', undefined, /the entry names none/],
    ['another', { digest: '00'.repeat(32), group: 'line-1' }, /the entry names 0000/],
    ['no group', { digest }, /none of the publisher's groups/],
    ['another group', { digest, group: 'lab' }, /none of the publisher's groups/],
  ];
  for (const [what, named, message] of wrong) {
    await assert.rejects(granted(named), { code: 'lease-refused', message }, what);
  }
});

async function asked(tier: Tier, nonce: Uint8Array) {
  const { model } = await sentBy({ digest, group: 'line-1' });
  const unused = () => assert.fail('nothing is signed and nothing is sent');
  const challenge: Challenge = { nonce, exporter: new Uint8Array(32), pcrs: [0], send: unused, known: undefined };
  return requestKey(
    {
      deviceId: 'press-7',
      tier,
      link: { withChallenge: (answer) => answer(challenge), hybridKey: undefined },
      hybridKey: { wraps: () => [boundWrapType] },
      prover: { evidence: unused, leaseCounter: unused },
      trust: testTrust(0),
      clocks: { clock: () => releasedAtMs, elapsed: () => 0 },
    },
    model,
  );
}

// SECURITY.md: DEV-78
test('a device of a tier that the publisher excludes does not ask, and no device asks a hub that cannot show the policy', async () => {
  const bound = markedNonce(new Uint8Array(24));
  for (const tier of ['software', 'dice', 'secure-element'] as const) {
    await assert.rejects(asked(tier, bound), { code: 'lease-refused', message: /gives its key to tpm/ });
  }
  await assert.rejects(asked('tpm', new Uint8Array(32)), { code: 'lease-refused', message: /too old/ });
});
