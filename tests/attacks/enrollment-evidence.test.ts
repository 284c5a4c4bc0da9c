// A hub, or a proxy in front of one, that has a device's evidence for an operational key uses it for something else: at another hub, for
// another purpose, with another key in it, over another connection (spec/evidence.md, "Certifying a key").
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CertifyPurpose } from '@edgekeep/core/attest/certify-subject';
import { encodeVerifierKey, verifierKey } from '@edgekeep/core/audit/note';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { encodeP256Point } from '@edgekeep/core/identity/p256-point';
import { challengeResponse } from '@edgekeep/wire/api/attest';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';
import { certificateResponse, enrollChallengeResponse } from '@edgekeep/wire/api/enrollment';
import { accepted, type Answer, assertRefused } from '../support/answer.ts';
import { closeAll } from '../support/closing.ts';
import { DeviceLink } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { newOperationalKey, TestDevice } from '../support/test-device.ts';

let here: HubWorld;
let elsewhere: HubWorld;
let press: TestDevice;

before(async () => {
  here = await HubWorld.open();
  elsewhere = await HubWorld.open({ settings: { logOrigin: 'elsewhere.test/log' } });
  press = await TestDevice.withoutTpm('press', join(here.folder, 'press'));
  await press.enroll(here);
});
after(() => closeAll(press, here, elsewhere));

const stale = { status: 403, reason: 'qualifying-data-mismatch' } as const;
const notEnrolled = { ...stale, code: 'enrollment-refused' } as const;
const notCertified = { ...stale, code: 'renewal-refused' } as const;

async function newDevice(id: string): Promise<TestDevice> {
  return TestDevice.withoutTpm(id, join(here.folder, id));
}

async function assertUnknown(world: HubWorld, id: string): Promise<void> {
  await assert.rejects(world.device(id), { code: 'not-found' });
}

// SECURITY.md: DEV-70
test('evidence that a device makes for one hub enrolls it at no other', async () => {
  const device = await newDevice('wanderer');
  const token = await here.enrollmentToken();
  // The challenge, the connection and everything else are those of this hub.
  const named = await device.tryEnroll(here, token, { claims: { hub: 'elsewhere.test/log' } });
  assertRefused(named, notEnrolled);
  // The other hub asks this one for a challenge, and has the device answer it.
  await using between = await DeviceLink.open(here.hub);
  await using own = await DeviceLink.open(elsewhere.hub);
  const start = { version: 'edgekeep-certify/v2', deviceId: 'wanderer', token, identity: await device.identity() };
  const { nonce } = accepted(await between.ask('POST', '/v1/enroll/challenge', start), enrollChallengeResponse);
  const { request, spki } = await newOperationalKey('wanderer');
  const ask = { nonce: parseBase64url(nonce, 'nonce'), spki, exporter: own.exporter };
  const { evidence } = await device.certifyProof('enroll', ask, { hub: 'elsewhere.test/log' });
  const end = { certificateRequest: toBase64url(request), evidence, witnessKey: device.witnessKey };
  assertRefused(await between.ask('POST', '/v1/enroll/complete', end), notEnrolled);
  await assertUnknown(here, 'wanderer');
  accepted(await device.tryEnroll(here, token), certificateResponse);
});

/** Asks for a certificate by `way` with evidence for `purpose`, made on `made` or on the same connection. */
async function certify(way: 'renew' | 'recover', purpose: CertifyPurpose, made?: DeviceLink): Promise<Answer> {
  await using link = way === 'renew' ? await press.connect(here.hub) : await DeviceLink.open(here.hub);
  const nonce =
    way === 'renew'
      ? await link.challenge()
      : parseBase64url(
          accepted(await link.ask('POST', '/v1/recover/challenge', { deviceId: press.id }), challengeResponse).nonce,
          'nonce',
        );
  const { request, spki } = await newOperationalKey(press.id);
  const proof = await press.certifyProof(purpose, { nonce, spki, exporter: (made ?? link).exporter });
  const path = way === 'renew' ? '/v1/renew' : '/v1/recover/complete';
  return await link.ask('POST', path, { ...proof, certificateRequest: toBase64url(request) });
}

// SECURITY.md: DEV-70
test('evidence for a renewal, a recovery and an enrollment are three things', async () => {
  for (const [way, purpose] of [
    ['recover', 'renew'],
    ['renew', 'recover'],
    ['recover', 'enroll'],
    ['renew', 'enroll'],
  ] as const)
    assertRefused(await certify(way, purpose), notCertified);
  for (const way of ['renew', 'recover'] as const) accepted(await certify(way, way), certificateResponse);
});

// SECURITY.md: DEV-70
test('a relay that has the evidence of its own connection with the device certifies nothing', async () => {
  await using other = await DeviceLink.open(here.hub);
  for (const way of ['renew', 'recover'] as const) assertRefused(await certify(way, way, other), notCertified);
});

// SECURITY.md: DEV-70
test('a sealing key that was replaced on the way to the hub is not registered: no model key is sealed to it', async () => {
  const device = await newDevice('sealed');
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const encryptionKey = toBase64url(encodeP256Point(publicKey));
  const answer = await device.tryEnroll(here, await here.enrollmentToken(), {
    start: (honest) => ({ ...honest, identity: withSealingKey(honest.identity, encryptionKey) }),
  });
  assertRefused(answer, notEnrolled);
  await assertUnknown(here, 'sealed');
});

function withSealingKey(identity: DeviceIdentity, encryptionKey: string): DeviceIdentity {
  return identity.kind === 'software' ? { ...identity, encryptionKey } : identity;
}

// SECURITY.md: DEV-70
test('a witness key that was replaced on the way to the hub is not registered: nobody else cosigns for the device', async () => {
  const device = await newDevice('witness');
  const { publicKey } = generateKeyPairSync('ed25519');
  const witnessKey = encodeVerifierKey(verifierKey('edgekeep.test/device/witness', publicKey, 'cosignature-v1'));
  const answer = await device.tryEnroll(here, await here.enrollmentToken(), {
    end: (honest) => ({ ...honest, witnessKey }),
  });
  assertRefused(answer, notEnrolled);
  await assertUnknown(here, 'witness');
});

// SECURITY.md: DEV-70
test('a device of this version is not served as one of the version before: the version cannot be left out on the way', async () => {
  const device = await newDevice('downgraded');
  const answer = await device.tryEnroll(here, await here.enrollmentToken(), {
    start: (honest) => ({ ...honest, version: undefined }),
  });
  assertRefused(answer, notEnrolled);
  await assertUnknown(here, 'downgraded');
});
