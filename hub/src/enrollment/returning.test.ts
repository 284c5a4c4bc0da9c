import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { rootDigestOf } from '../attest/root-keys.ts';
import { testKeyDevice } from '../attest/testing-device.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { HubError } from '../common/error.ts';
import { getDevice } from '../registry/states.ts';
import { retireDevice } from '../respond/quarantine.ts';
import { assertCertificateStands } from '../revocation/store.ts';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import type { DeviceRow } from '../store/tables/registry.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { findReturning } from './returning.ts';
import {
  by,
  type EnrollmentHub,
  enrollWith,
  fleetOf,
  madeTpmDevice,
  nowMs,
  openEnrollmentHub,
  startWith,
  wipe,
} from './testing-enrollment.ts';

let folder: string;
let database: Database;

function row(id: string, tier: string, state: DeviceRow['state']): DeviceRow & { next_root_sha256?: string } {
  return {
    id,
    tier,
    state,
    state_reason: '',
    identity: '{}',
    root_sha256: `root of ${id}`,
    witness_key: '',
    enrolled_at: 1,
    seen_at: 1,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-returning-'));
  database = await Database.open(await storePlace(folder));
  const rows = [
    row('tpm', 'tpm', 'wiped'),
    row('dice', 'dice', 'wiped'),
    row('element', 'secure-element', 'wiped'),
    row('file', 'software', 'wiped'),
    { ...row('ordered', 'software', 'wiped'), next_root_sha256: 'the new board' },
    row('live', 'tpm', 'active'),
  ];
  await database.write(async (trx) => trx.insertInto('device').values(rows).execute());
});
after(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** `back`, `new`, or why the device is refused. */
async function outcome(deviceId: string, tier: string, rootSha256: string): Promise<string | undefined> {
  try {
    const device = await findReturning(database.read, { deviceId, tier, rootSha256 });
    return device === undefined ? 'new' : 'back';
  } catch (error) {
    assert.ok(error instanceof HubError);
    return error.reasons[0]?.code;
  }
}

test('hardware that keeps its root of trust comes back with it and with no other', async () => {
  for (const tier of ['tpm', 'dice']) {
    assert.equal(await outcome(tier, tier, `root of ${tier}`), 'back');
    assert.equal(await outcome(tier, tier, 'another'), 'root-of-trust-differs');
  }
});

test('a key that was erased is another one afterwards, of the same tier', async () => {
  assert.equal(await outcome('file', 'software', 'another'), 'back');
  assert.equal(await outcome('element', 'secure-element', 'another'), 'back');
  assert.equal(await outcome('file', 'tpm', 'another'), 'root-of-trust-differs');
  assert.equal(await outcome('tpm', 'software', 'another'), 'root-of-trust-differs');
});

test('after an order for a root of trust, that one comes back, of any tier, and no other', async () => {
  assert.equal(await outcome('ordered', 'tpm', 'the new board'), 'back');
  assert.equal(await outcome('ordered', 'software', 'root of ordered'), 'root-of-trust-differs');
});

test('a device that is not wiped is nobody who comes back, and its root of trust no other device', async () => {
  assert.equal(await outcome('live', 'tpm', 'root of live'), 'device-id-taken');
  assert.equal(await outcome('elsewhere', 'tpm', 'root of live'), 'root-of-trust-taken');
  assert.equal(await outcome('file', 'software', 'root of tpm'), 'root-of-trust-taken');
  assert.equal(await outcome('elsewhere', 'tpm', 'unknown'), 'new');
});

const press = await madeTpmDevice('press-1', 1);
const file = testKeyDevice('sensor-1', 1);
const newFile = testKeyDevice('sensor-1', 2);
const incarnationOf = async (hub: EnrollmentHub, id: string) => (await getDevice(hub.database.read, id)).generation;

test('a TPM that was wiped comes back without an operator, as its next identity, and its old certificate stays revoked', async () => {
  await using hub = await openEnrollmentHub();
  const before = await enrollWith(hub, press, { token: await hub.token() });
  await wipe(hub, 'press-1');
  await enrollWith(hub, press);
  assert.equal(await incarnationOf(hub, 'press-1'), 2);
  const sha256 = sha256Hex(before.der);
  assert.equal(await refusalOf(assertCertificateStands(hub.database.read, sha256)), 'certificate-revoked');
});

test('a key in a file comes back with a token that was made for it after the wipe, and with no other', async () => {
  await using hub = await openEnrollmentHub();
  const [early, any] = [await hub.token({ deviceId: 'sensor-1' }), await hub.token()];
  await enrollWith(hub, file, { token: await hub.token() });
  await wipe(hub, 'sensor-1', nowMs + 1_000);
  const atMs = nowMs + 2_000;
  assert.equal(await refusalOf(startWith(hub, newFile, { atMs })), 'enrollment-refused');
  for (const token of [early, any])
    assert.equal(await refusalOf(startWith(hub, newFile, { token, atMs })), 'enrollment-refused: token-not-fresh');
  const anyLater = await hub.token({ nowMs: atMs });
  const forAny = startWith(hub, newFile, { token: anyLater, atMs });
  assert.equal(await refusalOf(forAny), 'enrollment-refused: token-not-fresh');
  const token = await hub.token({ deviceId: 'sensor-1', nowMs: nowMs + 1_000 });
  await enrollWith(hub, newFile, { token, atMs });
  assert.equal(await incarnationOf(hub, 'sensor-1'), 2);
});

test('a key that was on a disk when it was wiped does not enroll again, under its own id or another', async () => {
  await using hub = await openEnrollmentHub();
  await enrollWith(hub, file, { token: await hub.token() });
  await wipe(hub, 'sensor-1');
  const own = startWith(hub, file, { token: await hub.token({ deviceId: 'sensor-1' }) });
  assert.equal(await refusalOf(own), 'enrollment-refused: root-of-trust-wiped');
  await enrollWith(hub, newFile, { token: await hub.token({ deviceId: 'sensor-1' }) });
  const moved = startWith(hub, { ...file, id: 'sensor-9' }, { token: await hub.token() });
  assert.equal(await refusalOf(moved), 'enrollment-refused: root-of-trust-wiped');
});

test('a wiped device comes back once: of two that began, one gets the next identity', async () => {
  await using hub = await openEnrollmentHub();
  await enrollWith(hub, press, { token: await hub.token() });
  await wipe(hub, 'press-1');
  const raced = enrollWith(hub, press, { between: () => enrollWith(hub, press) });
  assert.equal(await refusalOf(raced), 'enrollment-refused: device-id-taken');
  assert.equal(await incarnationOf(hub, 'press-1'), 2);
});

test('a device that began before it was wiped again gets no identity of the time before', async () => {
  await using hub = await openEnrollmentHub();
  await enrollWith(hub, press, { token: await hub.token() });
  await wipe(hub, 'press-1');
  const raced = enrollWith(hub, press, {
    between: async () => {
      await enrollWith(hub, press);
      await wipe(hub, 'press-1', nowMs + 1);
    },
  });
  assert.equal(await refusalOf(raced), 'enrollment-refused: device-id-taken');
});

test('the hardware of a former device comes under another id by an import only', async () => {
  await using hub = await openEnrollmentHub();
  await enrollWith(hub, press, { token: await hub.token() });
  await wipe(hub, 'press-1');
  await retireDevice(fleetOf(hub), { deviceId: 'press-1', reason: 'moved', ...by });
  const moved = { ...press, id: 'press-9' };
  const begun = startWith(hub, moved, { token: await hub.token() });
  assert.equal(await refusalOf(begun), 'enrollment-refused: root-of-trust-taken');
  const row = { id: 'press-9', root_sha256: rootDigestOf(press.identity), imported_at: nowMs, site: null };
  await hub.database.write((trx) => trx.insertInto('expected_device').values(row).execute());
  await enrollWith(hub, moved);
});
