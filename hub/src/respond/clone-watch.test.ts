// A certificate and its key without the root of trust that they were issued for: an alert, and what the setting says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceConnection } from '../presence/connections.ts';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { getDevice } from '../registry/states.ts';
import { assertCertificateStands } from '../revocation/store.ts';
import { deviceOf, digestOf, seedFleet, serialOf } from '../revocation/testing-revocation.ts';
import { auditEntries, openTestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { CloneWatch } from './clone-watch.ts';

const nowMs = 1_800_000_000_000;
const home = '192.0.2.1';
const away = '198.51.100.1';
const device = deviceOf(0);

/** A device that was last seen at `home`. */
async function openWatch(rule: 'alert' | 'revoke' | 'quarantine' = 'alert') {
  const store = await openTestStore();
  const { database } = store;
  await seedFleet(database, { count: 1, notAfterMs: nowMs + 1_000 });
  await database.write((trx) =>
    trx
      .updateTable('device')
      .set({ bound_address: home, bound_at: nowMs - 1 })
      .execute(),
  );
  const time = { ms: nowMs };
  const watch = new CloneWatch({
    database,
    connections: { cut: () => 0 },
    witnesses: { remove: () => undefined },
    watch: { poll: () => Promise.resolve() },
    rule,
    clock: () => time.ms,
  });
  return {
    database,
    watch,
    time,
    refuse: (code: string, address = away, own = connection(address)) =>
      watch.bindRefused(own, [{ code, message: 'a test' }]),
    async alerts() {
      const rows = await database.read.selectFrom('alert').select(['kind', 'severity', 'count']).execute();
      return rows.map(({ kind, severity, count }) => `${kind} ${severity} ${count}`);
    },
    async [Symbol.asyncDispose]() {
      await watch[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

function connection(remoteAddress: string, deviceId = device): DeviceConnection {
  const socket = {
    destroyed: false,
    destroy: () => undefined,
    setTimeout: () => undefined,
    setKeepAlive: () => undefined,
    once: () => undefined,
    on: () => undefined,
  };
  const certificate = { deviceId, serial: serialOf(0), sha256: digestOf(0), notAfterMs: nowMs + 1_000 };
  return {
    socket,
    exporter: new Uint8Array(32),
    openedAtMs: nowMs,
    remoteAddress,
    certificate,
    workload: undefined,
    bound: false,
    session: undefined,
    challenge: undefined,
    claimed: undefined,
    imaLog: undefined,
  };
}

for (const code of [
  'signature-invalid',
  'signer-unexpected',
  'tier-mismatch',
  'not-a-quote',
  'qualifying-data-mismatch',
  'reset-count-decreased',
  'clock-decreased',
])
  test(`a bind that fails by ${code} is the alert of a copied key, graver from elsewhere than the device`, async () => {
    await using elsewhere = await openWatch();
    await elsewhere.refuse(code);
    assert.deepEqual(await elsewhere.alerts(), ['clone critical 1']);
    await using same = await openWatch();
    await same.refuse(code, home);
    assert.deepEqual(await same.alerts(), ['clone high 1']);
  });

test('a fault of the device itself is an entry, and no copy', async () => {
  await using hub = await openWatch('quarantine');
  await hub.refuse('pcr-digest-mismatch');
  assert.deepEqual(await hub.alerts(), []);
  assert.equal((await getDevice(hub.database.read, device)).state, 'active');
  assert.deepEqual(
    (await auditEntries(hub.database)).map(({ kind }) => kind),
    ['bind-refused'],
  );
});

test('who asks with a certificate and proves nothing is an alert from elsewhere only', async () => {
  await using hub = await openWatch();
  await hub.watch.askedUnbound(connection(home));
  await hub.watch.askedUnbound({ ...connection(away), certificate: undefined });
  assert.deepEqual(await hub.alerts(), []);
  await hub.watch.askedUnbound(connection(away));
  assert.deepEqual(await hub.alerts(), ['clone high 1']);
});

test('by the setting the certificate is revoked, or the device quarantined, or neither', async () => {
  for (const [rule, state, isRevoked] of [
    ['alert', 'active', false],
    ['revoke', 'active', true],
    ['quarantine', 'quarantined', false],
  ] as const) {
    await using hub = await openWatch(rule);
    await hub.refuse('signature-invalid');
    assert.equal((await getDevice(hub.database.read, device)).state, state, rule);
    const stands = assertCertificateStands(hub.database.read, digestOf(0));
    if (isRevoked) assert.equal(await refusalOf(stands), 'certificate-revoked');
    else await stands;
  }
});

test('however often it is tried, the first ten attempts are entries and all are counted', async () => {
  await using hub = await openWatch();
  for (let attempt = 0; attempt < 30; attempt += 1) await hub.refuse('signature-invalid');
  await hub.watch[Symbol.asyncDispose]();
  assert.equal((await auditEntries(hub.database)).filter(({ kind }) => kind === 'bind-refused').length, 10);
  assert.deepEqual(await hub.alerts(), ['clone critical 30']);
  hub.time.ms += 60_000;
  await hub.refuse('signature-invalid');
  assert.equal((await auditEntries(hub.database)).filter(({ kind }) => kind === 'bind-refused').length, 11);
});

test('a certificate of a device that is gone is no alert', async () => {
  await using hub = await openWatch();
  await addDevices(hub.database, deviceRow('press-9'));
  await hub.refuse('signature-invalid', away, connection(away, 'nobody'));
  assert.deepEqual(await hub.alerts(), []);
});
