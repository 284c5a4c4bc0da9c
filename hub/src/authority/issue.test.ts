// Certificates of devices and of the hub itself: from when, until when, by whom, and for whose key.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceIdOf } from '@edgekeep/core/identity/device-id';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { newSigner } from '@edgekeep/core/identity/testing-manufacturer';
import { validatePath } from '@edgekeep/core/identity/path';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import type { DeviceState } from '../store/tables/registry.ts';
import { openTestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { isTwoThirdsOver, issueDeviceCertificate, issueServerCredential, recordCertificate } from './issue.ts';
import { openTestAuthorities } from './testing-authorities.ts';

const nowMs = 1_800_000_000_000;
const nowSeconds = nowMs / 1_000;

async function openIssuer() {
  const store = await openTestStore();
  const authorities = await openTestAuthorities(store, nowMs);
  await addDevices(store.database, deviceRow('press-1'), deviceRow('press-2'));
  const issue = (key = newSigner(), lifeSeconds = 3_600, atMs = nowMs) => {
    const order = { deviceId: 'press-1', spki: encodeSpki(key.publicKey), nowMs: atMs, lifeSeconds };
    return issueDeviceCertificate(authorities, order);
  };
  return { ...store, authorities, issue };
}

test('a certificate is for its device and for TLS clients, on a path to the root, also by a clock that is five minutes slow', async () => {
  await using hub = await openIssuer();
  const leaf = await hub.issue();
  assert.equal(deviceIdOf(leaf), 'press-1');
  const { root } = hub.authorities;
  const active = hub.authorities.activeFor('device');
  const path = { leaf, intermediates: [active.certificate], anchors: [root] } as const;
  const kindAt = (atSeconds: number, purpose: 'tls-client' | 'tls-server' = 'tls-client') =>
    validatePath({ ...path, atSeconds, purpose }).kind;
  assert.deepEqual([kindAt(nowSeconds), kindAt(nowSeconds - 300)], ['valid', 'valid']);
  assert.deepEqual([kindAt(nowSeconds - 301), kindAt(nowSeconds + 3_601)], ['refused', 'refused']);
  assert.equal(kindAt(nowSeconds, 'tls-server'), 'refused');
});

test('a certificate lives as long as it was ordered, and never longer than its issuer', async () => {
  await using hub = await openIssuer();
  assert.equal((await hub.issue()).notAfterSeconds, nowSeconds + 3_600);
  const issuerEnds = hub.authorities.activeFor('device').certificate.notAfterSeconds;
  const late = await hub.issue(newSigner(), 86_400, (issuerEnds - 60) * 1_000);
  assert.equal(late.notAfterSeconds, issuerEnds);
});

test('one key is certified for one device, and again for that one', async () => {
  await using hub = await openIssuer();
  const key = newSigner();
  const record = async (deviceId: string) => {
    const certificate = await hub.issue(key);
    return hub.database.write((trx) => recordCertificate(trx, certificate, deviceId));
  };
  await record('press-1');
  await record('press-1');
  assert.equal(await refusalOf(record('press-2')), 'renewal-refused: operational-key-used');
});

test('a wiped device is certified no more, and no certificate of an issuing CA that is gone is recorded', async () => {
  await using hub = await openIssuer();
  const record = async () => {
    const certificate = await hub.issue();
    return hub.database.write((trx) => recordCertificate(trx, certificate, 'press-1'));
  };
  const set = (state: DeviceState) => hub.database.write((trx) => trx.updateTable('device').set({ state }).execute());
  await set('wiped');
  assert.equal(await refusalOf(record()), 'renewal-refused: identity-ended');
  await set('active');
  for (const status of ['retired', 'revoked', 'abandoned', 'requested'] as const) {
    await hub.database.write((trx) => trx.updateTable('issuing_authority').set({ status }).execute());
    assert.equal(await refusalOf(record()), 'conflict', status);
  }
});

test('what the hub shows of itself is for the names it was asked for, with a key of its own each time', async () => {
  await using hub = await openIssuer();
  const shown = () => issueServerCredential(hub.authorities, ['hub.example', '192.0.2.1'], { nowMs });
  const [one, other] = [await shown(), await shown()];
  const names = one.certificate.extensions.subjectAltName?.names.map(({ kind }) => kind);
  assert.deepEqual(names, ['dns', 'ip']);
  assert.notEqual(one.privateKeyPem, other.privateKeyPem);
  const { root } = hub.authorities;
  const active = hub.authorities.activeFor('server');
  const path = { leaf: one.certificate, intermediates: [active.certificate], anchors: [root] } as const;
  const kindFor = (purpose: 'tls-client' | 'tls-server') =>
    validatePath({ ...path, atSeconds: nowSeconds, purpose }).kind;
  assert.deepEqual([kindFor('tls-server'), kindFor('tls-client')], ['valid', 'refused']);
});

test('a certificate of the hub is replaced when two thirds of its life are over', () => {
  const life = { notBeforeSeconds: 0, notAfterSeconds: 300 };
  assert.deepEqual([isTwoThirdsOver(life, 200_000), isTwoThirdsOver(life, 200_001)], [false, true]);
});
