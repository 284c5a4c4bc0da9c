// Enrolling over EST (spec/est.md): devices with nothing but a key of their own, and tokens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Certificate, certificateDigest, serialText } from '@edgekeep/core/identity/certificate';
import { deviceIdOf } from '@edgekeep/core/identity/device-id';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { subjectAltName } from '@edgekeep/core/identity/extensions';
import { encodeCertificateRequest } from '@edgekeep/core/identity/request';
import { newSigner } from '@edgekeep/core/identity/testing-manufacturer';
import type { Signer } from '@edgekeep/core/signer';
import { toHex } from '@edgekeep/core/bytes';
import { getDevice } from '../registry/states.ts';
import { quarantineDevice } from '../respond/quarantine.ts';
import { assertCertificateStands } from '../revocation/store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { enrollWithToken, reenroll } from './est.ts';
import {
  by,
  type EnrollmentHub,
  enrollWith,
  fleetOf,
  madeTpmDevice,
  nowMs,
  openEnrollmentHub,
  wipe,
} from './testing-enrollment.ts';

const address = '192.0.2.9';
type Extensions = Parameters<typeof encodeCertificateRequest>[0]['extensions'];
const requestOf = (name: string, signer: Signer = newSigner(), extensions: Extensions = []) =>
  encodeCertificateRequest({ subject: commonNameOnly(name), extensions }, signer);

async function enroll(hub: EnrollmentHub, token: string, change: { name?: string; user?: string; key?: Signer } = {}) {
  const { name = 'meter-1', user = '', key } = change;
  const request = await requestOf(name, key);
  return enrollWithToken(hub.parts, { request, user, token, address, tls: '1.3', nowMs });
}
const shownOf = (certificate: Certificate) => ({
  deviceId: deviceIdOf(certificate),
  serial: serialText(certificate),
  sha256: toHex(certificateDigest(certificate)),
  notAfterMs: certificate.notAfterSeconds * 1_000,
});
async function renew(hub: EnrollmentHub, certificate: Certificate, request?: Uint8Array) {
  const own = request ?? (await requestOf(deviceIdOf(certificate)));
  return reenroll(hub.parts, shownOf(certificate), { request: own, nowMs, address, tls: '1.3' });
}
const stands = ({ database }: EnrollmentHub, certificate: Certificate) =>
  assertCertificateStands(database.read, toHex(certificateDigest(certificate)));

test('a token registers the device that the request names, in the lowest tier, and is used up', async () => {
  await using hub = await openEnrollmentHub();
  const token = await hub.token();
  assert.equal(deviceIdOf(await enroll(hub, token, { user: 'meter-1' })), 'meter-1');
  const { tier, state } = await getDevice(hub.database.read, 'meter-1');
  assert.deepEqual([tier, state], ['software', 'registered']);
  assert.equal(await refusalOf(enroll(hub, token, { name: 'meter-2' })), 'token-refused');
});

test('a user name of another device, a token of another device or tier, and a name that is no id are refused', async () => {
  await using hub = await openEnrollmentHub();
  assert.equal(await refusalOf(enroll(hub, await hub.token(), { user: 'meter-2' })), 'token-refused');
  assert.equal(await refusalOf(enroll(hub, await hub.token({ deviceId: 'meter-2' }))), 'token-refused');
  assert.equal(await refusalOf(enroll(hub, await hub.token({ tier: 'tpm' }))), 'token-refused');
  assert.equal(
    await refusalOf(enroll(hub, await hub.token(), { name: 'Meter 1' })),
    'request-invalid: device-id-invalid',
  );
  assert.equal(await refusalOf(enroll(hub, 'ee_none')), 'token-refused');
});

test('a device that lost its key gets another one for a token that was made for its id; its old certificate ends', async () => {
  await using hub = await openEnrollmentHub();
  const before = await enroll(hub, await hub.token());
  const forAny = enroll(hub, await hub.token());
  assert.equal(await refusalOf(forAny), 'enrollment-refused: device-id-taken');
  await stands(hub, before);
  const after = await enroll(hub, await hub.token({ deviceId: 'meter-1' }));
  await stands(hub, after);
  assert.equal(await refusalOf(stands(hub, before)), 'certificate-revoked');
});

test('the key of a device with a root of trust is not replaced by a token', async () => {
  await using hub = await openEnrollmentHub();
  const press = await madeTpmDevice('press-1', 1);
  const certificate = await enrollWith(hub, press, { token: await hub.token() });
  const token = await hub.token({ deviceId: 'press-1' });
  assert.equal(await refusalOf(enroll(hub, token, { name: 'press-1' })), 'enrollment-refused: device-id-taken');
  assert.equal(await refusalOf(renew(hub, certificate)), 'renewal-refused: evidence-required');
});

test('a quarantined device gets no other key, by token or by certificate', async () => {
  await using hub = await openEnrollmentHub();
  const certificate = await enroll(hub, await hub.token());
  await quarantineDevice(fleetOf(hub), { deviceId: 'meter-1', reason: 'odd', ...by });
  assert.equal(await refusalOf(enroll(hub, await hub.token({ deviceId: 'meter-1' }))), 'device-quarantined');
  assert.equal(await refusalOf(renew(hub, certificate)), 'device-quarantined');
});

test('a valid certificate is renewed, under its own names only', async () => {
  await using hub = await openEnrollmentHub();
  const certificate = await enroll(hub, await hub.token());
  const next = await renew(hub, certificate);
  assert.equal(deviceIdOf(next), 'meter-1');
  const own = subjectAltName(certificate.extensions.subjectAltName?.names ?? []);
  await renew(hub, next, await requestOf('meter-1', newSigner(), [own]));
  const other = subjectAltName([{ kind: 'uri', text: 'urn:edgekeep:device:meter-2' }]);
  for (const request of [await requestOf('meter-2'), await requestOf('meter-1', newSigner(), [other])])
    assert.equal(await refusalOf(renew(hub, next, request)), 'renewal-refused: subject-differs');
});

test('a revoked certificate renews nothing', async () => {
  await using hub = await openEnrollmentHub();
  const certificate = await enroll(hub, await hub.token());
  await enroll(hub, await hub.token({ deviceId: 'meter-1' }));
  assert.equal(await refusalOf(renew(hub, certificate)), 'certificate-revoked');
});

test('a wiped device comes back with another key and a token that was made for it since', async () => {
  await using hub = await openEnrollmentHub();
  const key = newSigner();
  await enroll(hub, await hub.token(), { key });
  const early = await hub.token({ deviceId: 'meter-1' });
  await wipe(hub, 'meter-1', nowMs + 1);
  const fresh = () => hub.token({ deviceId: 'meter-1', nowMs: nowMs + 1 });
  assert.equal(await refusalOf(enroll(hub, early)), 'enrollment-refused: token-not-fresh');
  assert.equal(await refusalOf(enroll(hub, await fresh(), { key })), 'enrollment-refused: root-of-trust-wiped');
  await enroll(hub, await fresh());
  assert.equal((await getDevice(hub.database.read, 'meter-1')).generation, 2);
});
