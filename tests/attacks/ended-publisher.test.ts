// Attacks with the key of a publisher that has ended (spec/model-signature.md, "The end of a publisher").
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { toBase64url } from '@edgekeep/core/bytes';
import { keyFingerprint } from '@edgekeep/core/model/signature/key-mode';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import { signRelease } from '@edgekeep/hub/publisher/testing-publisher';
import { receiptResponse } from '@edgekeep/wire/api/access';
import { alertList } from '@edgekeep/wire/api/alert';
import { hubView } from '@edgekeep/wire/api/hub';
import { modelView } from '@edgekeep/wire/api/model-release';
import { publisherResponse } from '@edgekeep/wire/api/publisher';
import { z } from 'zod';
import { healthyBoot, referenceValuesOf } from '../support/boot.ts';
import { type HubWorld, publicPem } from '../support/hub-world.ts';
import { SoftwareWorld } from '../support/software-world.ts';

let fleet: SoftwareWorld;
let world: HubWorld;
let fingerprint: string;

before(async () => {
  fleet = await SoftwareWorld.open();
  ({ world } = fleet);
  fingerprint = keyFingerprint(world.publisher.publicKey);
  await world.publishModel('surface', '1.0.0', 'weights');
});
after(() => fleet?.[Symbol.asyncDispose]());

const end = (body: object, key = fingerprint) =>
  world.operator.send('POST', `/v1/publishers/${key}/end`, body, publisherResponse);

async function receiptOf(version: string): Promise<Uint8Array> {
  const { lease } = await fleet.device.release(fleet.link, 'surface', version);
  const { receipt } = await world.operator.get(`/v1/receipts/${lease.id}`, receiptResponse);
  return Buffer.from(receipt, 'base64url');
}

async function begin(version: string): Promise<void> {
  const { manifest, signature } = await signRelease({ name: 'surface', version }, world.publisher);
  const modelKey = toBase64url(new Uint8Array(32));
  await world.operator.send('POST', '/v1/models', { manifest: toBase64url(manifest), signature, modelKey }, modelView);
}

// SECURITY.md: HUB-101
test('a thief of an ended publisher’s key gets no model and no reference values accepted, and finishes no upload', async () => {
  const { publisherKeys: before } = await world.operator.get('/v1/hub', hubView);
  await begin('1.1.0');
  const sealed = '/v1/models/surface/1.1.0/files/weights.bin';
  const sent = await world.askOperator('PUT', sealed, {
    token: await world.apiToken(['models:publish', 'models:read']),
    body: Buffer.alloc(64, 7),
    contentType: 'application/octet-stream',
  });
  assert.equal(sent.status, 200, Buffer.from(sent.body).toString());
  await receiptOf('1.0.0');
  const soon = world.clock.now() + 60_000;
  assert.equal((await end({ note: 'left', endsAt: soon })).endsAt, soon);
  // Until then it is a publisher like the others.
  await world.publishModel('surface', '1.0.1', 'weights');
  await assert.rejects(end({ note: 'later', endsAt: soon + 1 }), /ends on .* already/);
  await assert.rejects(end({ note: 'before', endsAt: world.clock.now() - 1_000 }), /an end is now or later/);
  await end({ note: 'the key was stolen' });
  const ended = { code: 'publisher-untrusted', message: /ended on/ };
  await assert.rejects(world.publishModel('surface', '1.2.0', 'weights'), ended);
  await assert.rejects(world.operator.send('POST', '/v1/models/surface/1.1.0/publish', {}, modelView), ended);
  await assert.rejects(world.publishReferenceValues(referenceValuesOf(healthyBoot, '2.0')), ended);
  const again = { name: 'again', publicKey: publicPem(world.publisher) };
  await assert.rejects(world.operator.send('POST', '/v1/publishers', again, publisherResponse), /not taken back/);
  // A device that is new runs what is published, so it needs the key.
  assert.deepEqual((await world.operator.get('/v1/hub', hubView)).publisherKeys, before);
});

// SECURITY.md: HUB-101
test('what a publisher published before its end goes on: devices get keys, and receipts of later verify; for another manifest they do not', async () => {
  world.clock.advanceSeconds(120);
  const receipt = await receiptOf('1.0.1');
  const trust = { ...(await world.trust()), policy: witnessPolicy([], 0) };
  assert.equal(verifyReceipt(receipt, trust).kind, 'verified');
  const [key] = trust.publisherKeys;
  assert.equal(key?.manifests?.length, 2);
  const forged = { ...trust, publisherKeys: [{ ...key, manifests: [] }] };
  const verdict = verifyReceipt(receipt, forged);
  assert.ok(verdict.kind === 'refused');
  assert.match(verdict.reasons.join(), /model: /);
});

test('an alert says that devices hold keys of an ended publisher, and the end is in the log', async () => {
  const { alerts } = await world.operator.get('/v1/alerts?kind=publisher-ended', alertList);
  assert.equal(alerts.length, 1);
  assert.match(alerts[0]?.title ?? '', /test publisher ended on .*1 device.*surface 1\.0\.0/);
  const entries = await world.entries('publisher-ended');
  assert.deepEqual(
    entries.map(({ subject }) => subject),
    [fingerprint, fingerprint],
  );
  const { publishers } = await world.operator.get(
    '/v1/publishers',
    z.object({ publishers: z.array(publisherResponse) }),
  );
  assert.ok(publishers[0]?.endsAt !== null);
});
