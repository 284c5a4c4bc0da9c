import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { serialText } from '@edgekeep/core/identity/certificate';
import { workloadOf } from '@edgekeep/core/identity/svid';
import { newSigner } from '@edgekeep/core/identity/testing-manufacturer';
import { issueDeviceCertificate, recordCertificate } from '../authority/issue.ts';
import type { DeviceState } from '../store/tables/registry.ts';
import { hubSettingsSchema } from '../settings.ts';
import { auditEntries } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { by, certify, declare, nowMs, openWorkloadHub, type WorkloadHub } from './testing-workload.ts';
import { disableWorkload, enableWorkload } from './workloads.ts';

const set = ({ database }: WorkloadHub, change: { state?: DeviceState; disabled_reason?: string | null }) =>
  database.write((trx) => trx.updateTable('device').set(change).where('id', '=', 'press-1').execute());

test('a declared workload gets a certificate that names it and its device, for the key of its request', async () => {
  await using hub = await openWorkloadHub();
  await declare(hub, 'camera');
  const key = newSigner();
  const { certificate, spiffeId } = await certify(hub, { key });
  const { trustDomain, certificateSeconds } = hub.parts.settings.workloads;
  assert.deepEqual(workloadOf(certificate), { trustDomain, deviceId: 'press-1', workload: 'camera' });
  assert.equal(spiffeId, `spiffe://${trustDomain}/device/press-1/workload/camera`);
  assert.deepEqual(Buffer.from(certificate.spki), Buffer.from(encodeSpki(key.publicKey)));
  assert.equal(certificate.notAfterSeconds, nowMs / 1_000 + certificateSeconds);
  const kinds = (await auditEntries(hub.database)).map(({ kind, subject }) => `${kind} ${subject}`);
  assert.deepEqual(kinds, ['workload-declared device:press-1', 'workload-certified device:press-1']);
});

test('a workload that nobody declared for this device gets none', async () => {
  await using hub = await openWorkloadHub();
  await declare(hub, 'camera');
  for (const ask of [{ workload: 'other' }, { deviceId: 'press-2' }])
    assert.equal(await refusalOf(certify(hub, ask)), 'workload-refused: not-declared');
});

test('a device that is not active has no workloads, and one that is switched off neither', async () => {
  await using hub = await openWorkloadHub();
  await declare(hub, 'camera');
  for (const state of ['registered', 'suspect', 'quarantined', 'wiped', 'retired'] as const) {
    await set(hub, { state });
    assert.equal(await refusalOf(certify(hub)), 'workload-refused: device-not-active', state);
  }
  await set(hub, { state: 'active', disabled_reason: 'sold' });
  assert.equal(await refusalOf(certify(hub)), 'device-disabled');
  await set(hub, { disabled_reason: null });
  await certify(hub);
});

test('a hub whose settings name another trust domain than its CA for workloads issues none, and says what to request', async () => {
  await using hub = await openWorkloadHub();
  await declare(hub, 'camera');
  await certify(hub);
  const settings = hubSettingsSchema.parse({ workloads: { trustDomain: 'other.example' } });
  const changed = certify({ ...hub, parts: { ...hub.parts, settings } });
  await assert.rejects(changed, {
    reasons: [
      {
        code: 'trust-domain-changed',
        message:
          'the CA for workloads is for the trust domain edgekeep.local, not other.example: `edgekeep authority request --class workload`',
      },
    ],
  });
  assert.equal((await auditEntries(hub.database)).filter(({ kind }) => kind === 'workload-certified').length, 1);
});

test('a disabled workload gets no certificate until it is enabled again', async () => {
  await using hub = await openWorkloadHub();
  await declare(hub, 'camera');
  await declare(hub, 'counter');
  const order = { deviceId: 'press-1', workload: 'camera', ...by };
  await disableWorkload(hub.database, { ...order, reason: 'odd' });
  assert.equal(await refusalOf(certify(hub)), 'workload-refused: workload-disabled');
  await certify(hub, { workload: 'counter' });
  await enableWorkload(hub.database, order);
  await certify(hub);
});

test('a key that was certified for the device itself, or for another workload, is not certified for this one', async () => {
  await using hub = await openWorkloadHub();
  await declare(hub, 'camera');
  await declare(hub, 'counter');
  const [own, shared] = [newSigner(), newSigner()];
  const device = { deviceId: 'press-1', spki: encodeSpki(own.publicKey), nowMs, lifeSeconds: 3_600 };
  const certificate = await issueDeviceCertificate(hub.parts.authorities, device);
  await hub.database.write((trx) => recordCertificate(trx, certificate, 'press-1'));
  await certify(hub, { key: shared, workload: 'counter' });
  for (const key of [own, shared]) assert.equal(await refusalOf(certify(hub, { key })), 'workload-refused: key-in-use');
  await certify(hub, { key: shared, workload: 'counter' });
});

test('a key of a workload on another device is not certified here', async () => {
  await using hub = await openWorkloadHub();
  await declare(hub, 'camera');
  await declare(hub, 'camera', { kind: 'device', name: 'press-2' });
  const key = newSigner();
  await certify(hub, { key });
  assert.equal(await refusalOf(certify(hub, { key, deviceId: 'press-2' })), 'renewal-refused: operational-key-used');
});

test('at most sixteen certificates of a workload are valid at a time; ended and revoked ones do not count', async () => {
  await using hub = await openWorkloadHub();
  await declare(hub, 'camera');
  const first = await certify(hub);
  for (let more = 1; more < 16; more += 1) await certify(hub);
  assert.equal(await refusalOf(certify(hub)), 'rate-limited');
  const serial = serialText(first.certificate);
  await hub.database.write((trx) =>
    trx.updateTable('certificate').set({ revoked_at: nowMs }).where('serial', '=', serial).execute(),
  );
  await certify(hub);
  assert.equal(await refusalOf(certify(hub)), 'rate-limited');
  const { certificateSeconds } = hub.parts.settings.workloads;
  await certify(hub, { atMs: nowMs + certificateSeconds * 1_000 });
});
