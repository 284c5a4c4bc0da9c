// Keys in two files that a genuine IDevID speaks for: the device is what its keys are, and a policy for secure elements gives it nothing.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toBase64url } from '@edgekeep/core/bytes';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { newSigner, type TestManufacturer, testManufacturer } from '@edgekeep/core/identity/testing-manufacturer';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { SoftwareRootOfTrust } from '@edgekeep/hardware/software/software-root-of-trust';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { policyView } from '@edgekeep/wire/api/policy';
import { z } from 'zod';
import { accepted, assertRefused } from '../support/answer.ts';
import { HubWorld } from '../support/hub-world.ts';
import { trustManufacturer } from '../support/manufacturer.ts';
import { TestDevice } from '../support/test-device.ts';

const policy = `@id("elements")
permit (principal, action == Edgekeep::Action::"releaseKey", resource)
when { context.attestation.tier == "secure-element" && context.attestation.status == "warning" };`;

const shown = z.object({ chain: z.array(z.string()) });
let world: HubWorld;
let works: TestManufacturer;
before(async () => {
  world = await HubWorld.open();
  works = await testManufacturer();
  await trustManufacturer(world, works, 'works');
  await world.operator.send('PUT', '/v1/policy', { text: policy }, policyView);
  await world.publishModel('surface', '1.0.0', 'weights');
});
after(() => world?.[Symbol.asyncDispose]());

/** Keys in files that say they are in an element; the IDevID is genuine, and its holder signs what it is given. */
async function pretender(id: string): Promise<RootOfTrust> {
  const files = await SoftwareRootOfTrust.open({ stateFolder: join(world.folder, id), bootId: 'boot-1' });
  const idevid = newSigner();
  const chain = await works.issue(encodeSpki(idevid.publicKey), { serialNumber: id.toUpperCase() });
  const token = { label: 'chip', manufacturer: 'NXP', model: 'SE050', serialNumber: '1' };
  return {
    tier: 'secure-element',
    describe: async () => ({ ...(await files.describe()), tier: 'secure-element', token }),
    random: (length) => files.random(length),
    extend: (pcr, digest) => files.extend(pcr, digest),
    readPcrs: (selection) => files.readPcrs(selection),
    attest: (data, selection) => files.attest(data, selection),
    activateCredential: () => files.activateCredential(),
    openKey: (wrapped, options) => files.openKey(wrapped, options),
    idevid: async () => ({ chain, prove: async (message) => ({ signature: await idevid.sign(message) }) }),
    [Symbol.asyncDispose]: () => files[Symbol.asyncDispose](),
  };
}

// SECURITY.md: DEV-60
test('a genuine IDevID does not make a secure element of keys in files: the tier is software, and it gets no key', async () => {
  await using device = await TestDevice.with('sn-70', await pretender('sn-70'));
  accepted(await device.tryEnroll(world, undefined), certificateResponse);
  assert.equal((await world.device('sn-70')).tier, 'software');
  await using link = await device.connect(world.hub);
  assertRefused(await device.askForKey(link, 'surface', '1.0.0'), {
    status: 403,
    code: 'release-refused',
    says: /it is "software"/,
  });
});

// SECURITY.md: DEV-60
test('without an IDevID, keys in files need the token that an operator makes for the tier', async () => {
  await using device = await TestDevice.with('sn-71', await pretender('sn-71'));
  const answer = await device.tryEnroll(world, await world.enrollmentToken(), {
    start: (honest) => ({ ...honest, idevid: undefined }),
  });
  assertRefused(answer, { status: 403, code: 'enrollment-refused', reason: 'tier-not-vouched' });
});

// SECURITY.md: DEV-60
test('the certificates of another device’s keys do not help', async () => {
  const hardware = await pretender('sn-72');
  const borrowed = await works.issue(encodeSpki(newSigner().publicKey), { serialNumber: 'SN-73' });
  await using device = await TestDevice.with('sn-72', hardware);
  const answer = await device.tryEnroll(world, undefined, {
    start: ({ idevid, ...honest }) => {
      const { chain } = shown.parse(idevid);
      return { ...honest, idevid: { chain: [...chain, toBase64url(borrowed[0])] } };
    },
  });
  accepted(answer, certificateResponse);
  assert.equal((await world.device('sn-72')).tier, 'software');
});
