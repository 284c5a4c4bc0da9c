// The lease counter that a device sends with its evidence: without the counter of this TPM, request and boot there is no key.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { toBase64url } from '@edgekeep/core/bytes';
import { releaseResponse } from '@edgekeep/wire/api/access';
import { closeAll } from '../support/closing.ts';
import { accepted, assertRefused } from '../support/answer.ts';
import type { DeviceLink } from '../support/device-link.ts';
import type { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

let fleet: TpmWorld;
let owner: TestDevice;
let other: TestDevice;
let link: DeviceLink;

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open();
  owner = await fleet.device('owner');
  other = await fleet.device('other');
  link = await owner.connect(fleet.world.hub);
});
after(async () => {
  await closeAll(fleet, link);
});

const asked = { model: model.name, version: model.version };
const refused = { status: 403, code: 'release-refused' };

async function counterOf(device: TestDevice, data: Uint8Array): Promise<{ attest: string; signature: string }> {
  const counter = await device.rootOfTrust.certifyLeaseCounter?.(data);
  assert.ok(counter !== undefined);
  return { attest: toBase64url(counter.attest), signature: toBase64url(counter.signature) };
}

/** Asks with honest evidence and with what `make` returns for the counter. */
async function askWith(make: (data: Uint8Array, evidence: object) => Promise<object | undefined>) {
  const nonce = await link.challenge();
  const evidence = await owner.evidence('release', nonce, link.exporter);
  const leaseCounter = await make(qualifyingData('release', nonce, link.exporter), evidence);
  return link.ask('POST', '/v1/releases', { ...asked, evidence, leaseCounter });
}

test('with its own counter a device gets a key on the terms of this very boot and value', { skip }, async () => {
  const answer = accepted(await askWith((data) => counterOf(owner, data)), releaseResponse);
  assert.ok(answer.wrappedKey.kind === 'tpm-import' && answer.wrappedKey.terms !== undefined);
  assert.equal((await owner.rootOfTrust.openKey(answer.wrappedKey)).length, 32);
});

test('without a counter there is no key, and the log says why', { skip }, async () => {
  assertRefused(await askWith(async () => undefined), { ...refused, reason: 'lease-counter-missing' });
  assert.match(JSON.stringify((await fleet.world.entries('release-refused')).at(-1)), /lease-counter-missing/);
});

test('a counter that is not what the TPM signed for this ask is refused', { skip }, async (t) => {
  const cases: Readonly<Record<string, [(data: Uint8Array, evidence: object) => Promise<object>, RegExp]>> = {
    'of another TPM': [(data) => counterOf(other, data), /does not verify/],
    'of an earlier ask': [() => counterOf(owner, randomBytes(32)), /qualifying data/],
    'with another value': [
      async (data) => {
        const { attest, signature } = await counterOf(owner, data);
        const bytes = Buffer.from(attest, 'base64url');
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) + 1;
        return { attest: toBase64url(bytes), signature };
      },
      /does not verify/,
    ],
    'the quote in its place': [
      async (_, evidence) => {
        const { quote: attest, signature } = { quote: '', signature: '', ...evidence };
        return { attest, signature };
      },
      /expected one of an NV index/,
    ],
  };
  for (const [name, [make, says]] of Object.entries(cases)) {
    await t.test(name, async () => {
      assertRefused(await askWith(make), { ...refused, reason: 'lease-counter-refused', says });
    });
  }
});

test('a counter that is no structure of a TPM is a broken request', { skip }, async () => {
  const answer = await askWith(async () => ({ attest: 'AAAA', signature: 'AAAA' }));
  assertRefused(answer, { status: 400, code: 'request-invalid' });
});

test('where the agent alone ends leases, no counter is asked for and the key has no terms', { skip }, async () => {
  await using trusting = await TpmWorld.open({ lease: { enforcedBy: 'agent' } });
  const device = await trusting.device('trusted');
  await using connected = await device.connect(trusting.world.hub);
  const evidence = await device.evidence('release', await connected.challenge(), connected.exporter);
  const answer = accepted(await connected.ask('POST', '/v1/releases', { ...asked, evidence }), releaseResponse);
  assert.ok(answer.wrappedKey.kind === 'tpm-import' && answer.wrappedKey.terms === undefined);
});
