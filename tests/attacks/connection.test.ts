// Connections that must not succeed: a stolen operational key, a certificate of another authority, a device that was cut off, an old TLS.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { encodePem } from '@edgekeep/core/identity/pem';
import { deviceProfile, issuingAuthorityProfile, rootProfile } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import { challengeResponse } from '@edgekeep/wire/api/attest';
import type { TlsClientCredential } from '@edgekeep/wire/link/tls';
import { accepted, assertRefused } from '../support/answer.ts';
import { DeviceLink, zeroNonce } from '../support/device-link.ts';
import { newOperationalKey, type TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

let fleet: TpmWorld;
let victim: TestDevice;
let thief: TestDevice;

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open();
  victim = await fleet.device('victim');
  thief = await fleet.device('thief');
});
after(() => fleet?.[Symbol.asyncDispose]());

const boundRoutes = [
  ['POST', '/v1/challenges'],
  ['GET', `/v1/models/${model.name}`],
  ['GET', `/v1/models/${model.name}/${model.version}/files/weights.bin`],
  ['GET', '/v1/checkpoint?from=0'],
  ['GET', '/v1/receipts/any'],
] as const;

// SECURITY.md: DEV-08
test('a stolen operational certificate and key are useless without the TPM', { skip }, async (t) => {
  await using link = await DeviceLink.open(fleet.world.hub, victim.credential);
  // SECURITY.md: NET-09
  await t.test('no route answers on a connection that is not bound', async () => {
    const evidence = await thief.evidence('release', randomBytes(32), link.exporter);
    const bodies: readonly (readonly ['POST', string, object])[] = [
      ['POST', '/v1/releases', { model: model.name, version: model.version, evidence }],
      ['POST', '/v1/attest', { evidence }],
      ['POST', '/v1/renew', { certificateRequest: '', evidence }],
      ['POST', '/v1/cosignatures', { checkpoint: '' }],
      ['POST', '/v1/reports', {}],
    ];
    for (const [method, path, body] of [...boundRoutes, ...bodies]) {
      assertRefused(await link.ask(method, path, body), { status: 401, code: 'connection-unbound' });
    }
  });
  await t.test('the thief’s own TPM does not bind it', async () => {
    const evidence = await thief.evidence('bind', zeroNonce, link.exporter);
    const refused = { status: 403, code: 'bind-refused', reason: 'signature-invalid' };
    assertRefused(await link.ask('POST', '/v1/bind', { evidence }), refused);
  });
  await t.test('a quote that the victim made for its own connection does not bind it', async () => {
    await using own = await victim.connect(fleet.world.hub);
    const evidence = await victim.evidence('bind', zeroNonce, own.exporter);
    const refused = { status: 403, code: 'bind-refused', reason: 'qualifying-data-mismatch' };
    assertRefused(await link.ask('POST', '/v1/bind', { evidence }), refused);
  });
  await t.test('every attempt is in the log, with the address it came from', async () => {
    const entries = await fleet.world.entries('bind-refused');
    assert.equal(entries.length, 2);
    for (const { subject, actor } of entries) {
      assert.equal(subject, 'device:victim');
      assert.equal(actor, 'address:127.0.0.1');
    }
  });
  await t.test('the victim works on', async () => {
    await using own = await victim.connect(fleet.world.hub);
    await victim.release(own, model.name, model.version);
  });
});

// SECURITY.md: NET-09
test('a connection without a certificate reaches enrollment only', { skip }, async () => {
  await using link = await DeviceLink.open(fleet.world.hub);
  for (const [method, path] of boundRoutes) {
    assertRefused(await link.ask(method, path), { status: 401, code: 'certificate-required' });
  }
});

// SECURITY.md: NET-02
test('a certificate for the victim’s name by another authority counts as none', { skip }, async () => {
  await using link = await DeviceLink.open(fleet.world.hub, await forgedCredential('victim'));
  assertRefused(await victim.bind(link), { status: 401, code: 'certificate-required' });
});

test('an expired operational certificate is refused on a connection that is still open', { skip }, async () => {
  const short = await TpmWorld.open({ certificateSeconds: 60 });
  try {
    const device = await short.device('short-lived');
    await using link = await device.connect(short.world.hub);
    short.world.clock.advanceSeconds(61);
    assertRefused(await link.ask('POST', '/v1/challenges'), {
      status: 401,
      code: 'certificate-required',
      says: /expired/,
    });
  } finally {
    await short[Symbol.asyncDispose]();
  }
});

test('quarantine voids the leases and closes the connections of that device, and of no other', { skip }, async (t) => {
  const { world } = fleet;
  await using first = await victim.connect(world.hub);
  await using second = await victim.connect(world.hub);
  await using bystander = await thief.connect(world.hub);
  const { lease } = await victim.release(first, model.name, model.version);
  const closed = Promise.all([first.closed, second.closed]);
  const { connectionsClosed } = await world.setState('victim', 'quarantine');
  await closed;
  assert.equal(connectionsClosed, 2);
  assert.ok(bystander.connected, 'another device was disturbed');
  await thief.release(bystander, model.name, model.version);

  await t.test('the lease is void', async () => {
    const held = (await world.device('victim')).leases.find(({ id }) => id === lease.id);
    assert.notEqual(held?.revokedAt, null);
  });
  await t.test('a new connection cannot be bound', async () => {
    await using again = await DeviceLink.open(world.hub, victim.credential);
    assertRefused(await victim.bind(again), { status: 403, code: 'device-quarantined', says: /a test/ });
    assertRefused(await again.ask('POST', '/v1/challenges'), { status: 401, code: 'connection-unbound' });
  });
  await t.test('recovery gives no certificate', async () => {
    const { status, body } = await recover(victim);
    assertRefused({ status, body }, { status: 403, code: 'device-quarantined' });
  });
  // SECURITY.md: HUB-59
  await t.test('it outlasts a restart of the hub', async () => {
    await world.restart();
    await using again = await DeviceLink.open(world.hub, victim.credential);
    assertRefused(await victim.bind(again), { status: 403, code: 'device-quarantined' });
  });
  await t.test('a release from quarantine gives back no lease', async () => {
    await world.setState('victim', 'release');
    await using again = await victim.connect(world.hub);
    const held = (await world.device('victim')).leases.find(({ id }) => id === lease.id);
    assert.notEqual(held?.revokedAt, null);
    await victim.release(again, model.name, model.version);
  });
});

test('recovery is refused to another TPM, and says nothing of devices that are not there', { skip }, async () => {
  const { world } = fleet;
  assertRefused(await recover(thief, 'victim'), { status: 403, code: 'renewal-refused', reason: 'signature-invalid' });
  assertRefused(await recover(thief, 'nobody'), { status: 403, code: 'device-unknown' });
  await using link = await DeviceLink.open(world.hub);
  const [known, unknown] = [
    await link.ask('POST', '/v1/recover/challenge', { deviceId: 'victim' }),
    await link.ask('POST', '/v1/recover/challenge', { deviceId: 'nobody' }),
  ];
  assert.equal(known.status, unknown.status);
});

test('a retired device is refused from then on', { skip }, async () => {
  const { world } = fleet;
  await using link = await thief.connect(world.hub);
  const { closed } = link;
  await world.setState('thief', 'retire');
  await closed;
  await using again = await DeviceLink.open(world.hub, thief.credential);
  assertRefused(await thief.bind(again), { status: 403, code: 'device-retired' });
  assertRefused(await recover(thief), { status: 403, code: 'device-retired' });
  await assert.rejects(world.setState('thief', 'release'), { code: 'conflict' });
  const { certificates } = await world.device('thief');
  assert.ok(certificates.every(({ revokedAt }) => revokedAt !== null));
  const answer = await thief.tryEnroll(world, await world.enrollmentToken(), {
    start: (honest) => ({ ...honest, deviceId: 'thief-again' }),
  });
  assertRefused(answer, { status: 403, code: 'enrollment-refused', reason: 'root-of-trust-taken' });
});

// SECURITY.md: NET-06
test('TLS 1.2 is refused by both listeners', { skip }, async () => {
  for (const address of [fleet.world.hub.deviceAddress, fleet.world.hub.operatorAddress]) {
    await assert.rejects(handshake(address, 'TLSv1.2'), { code: /^ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION$/ });
    assert.equal(await handshake(address, 'TLSv1.3'), 'TLSv1.3');
  }
});

/** Both steps of recovery with this device's root of trust, under its own or another device's name. */
async function recover(device: TestDevice, deviceId = device.id) {
  await using link = await DeviceLink.open(fleet.world.hub);
  const { nonce } = accepted(await link.ask('POST', '/v1/recover/challenge', { deviceId }), challengeResponse);
  const { request, spki } = await newOperationalKey(deviceId);
  const ask = { nonce: Buffer.from(nonce, 'base64url'), spki, exporter: link.exporter };
  const proof = await device.certifyProof('recover', ask, { deviceId });
  const certificateRequest = Buffer.from(request).toString('base64url');
  return await link.ask('POST', '/v1/recover/complete', { ...proof, certificateRequest });
}

/** A certificate with the victim's name from authorities that look just like the hub's own. */
async function forgedCredential(deviceId: string): Promise<TlsClientCredential> {
  const key = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
  const [root, issuing, leaf] = [signerFromKey(key()), signerFromKey(key()), key()];
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const period = (publicKey: typeof root.publicKey) => ({
    spki: encodeSpki(publicKey),
    serialRandom: randomBytes(16),
    notBeforeSeconds: nowSeconds - 300,
    notAfterSeconds: nowSeconds + 3_600,
  });
  const rootCertificate = parseCertificate(
    await issueCertificate(rootProfile(period(root.publicKey), commonNameOnly('Edgekeep root')), root),
  );
  const issuingCertificate = parseCertificate(
    await issueCertificate(
      issuingAuthorityProfile(period(issuing.publicKey), rootCertificate, commonNameOnly('Edgekeep issuing CA')),
      root,
    ),
  );
  const leafProfile = deviceProfile(period(signerFromKey(leaf).publicKey), issuingCertificate, deviceId);
  const der = await issueCertificate(leafProfile, issuing);
  return {
    certificateChainPem: encodePem('CERTIFICATE', der) + encodePem('CERTIFICATE', issuingCertificate.der),
    privateKeyPem: leaf.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function handshake(address: { host: string; port: number }, version: 'TLSv1.2' | 'TLSv1.3'): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const limits = { minVersion: version, maxVersion: version } as const;
    const socket = connect({ ...address, ...limits, ca: fleet.world.hub.rootPem, servername: 'localhost' }, () => {
      resolve(socket.getProtocol());
      socket.destroy();
    });
    socket.once('error', reject);
  });
}
