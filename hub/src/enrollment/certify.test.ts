// The next operational key of a device: renewed on a live connection, or recovered after a restart. The root of trust proves it each time.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type CertifyPurpose, certifyVersion } from '@edgekeep/core/attest/certify-subject';
import { fixedKey } from '@edgekeep/core/attest/testing';
import { serialText } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { encodeCertificateRequest } from '@edgekeep/core/identity/request';
import { newSigner } from '@edgekeep/core/identity/testing-manufacturer';
import type { Signer } from '@edgekeep/core/signer';
import { getDevice } from '../registry/states.ts';
import { disableDevice } from '../respond/disable.ts';
import { quarantineDevice } from '../respond/quarantine.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { auditEntries } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { certifyNextKey } from './certify.ts';
import {
  by,
  type Enrollment,
  type EnrollmentHub,
  enrollWith,
  fleetOf,
  madeTpmDevice,
  nowMs,
  openEnrollmentHub,
  qualified,
  testExporter,
  wipe,
} from './testing-enrollment.ts';

const press = await madeTpmDevice('press-1', 1);
const second = await madeTpmDevice('press-2', 2);

async function hubWithPress(): Promise<EnrollmentHub> {
  const hub = await openEnrollmentHub();
  await enrollWith(hub, press, { token: await hub.token() });
  return hub;
}

interface Ask {
  readonly key?: Signer;
  /** Whose key the evidence is over, where it is another one. */
  readonly over?: Signer;
  readonly boot?: Enrollment['boot'];
  /** As it was read for the request; what happens at the hub after that. */
  readonly device?: DeviceRecord;
  readonly renewedFrom?: string;
  readonly signed?: typeof press;
  readonly purpose?: CertifyPurpose;
  /** What the evidence says in place of the truth. */
  readonly claims?: {
    readonly hub?: string;
    readonly deviceId?: string;
    readonly exporter?: Uint8Array;
    readonly identity?: typeof press;
  };
}

async function ask(
  hub: EnrollmentHub,
  {
    key = newSigner(),
    over = key,
    boot,
    device,
    renewedFrom,
    signed = press,
    purpose = renewedFrom === undefined ? 'recover' : 'renew',
    claims = {},
  }: Ask = {},
) {
  const nonce = randomBytes(32);
  const record = device ?? (await getDevice(hub.database.read, 'press-1'));
  const { identity, ...said } = claims;
  const about = { spki: encodeSpki(over.publicKey), deviceId: record.id, ...said };
  const own = record.id === 'press-2' ? second : press;
  const covered = qualified(purpose, identity ?? own, { ...about, nonce });
  const proof = {
    certificateRequest: await encodeCertificateRequest({ subject: commonNameOnly('any') }, key),
    version: certifyVersion,
    evidence: signed.evidence({ qualifyingData: covered, ...boot }),
    exporter: testExporter,
    nonce,
    askedMs: nowMs,
    renewedFrom,
    pieces: { imaLog: undefined },
    nowMs,
  };
  return certifyNextKey(
    hub.parts,
    record,
    proof,
    renewedFrom === undefined ? 'device-recovered' : 'certificate-renewed',
  );
}
const count = async ({ database }: EnrollmentHub) =>
  (await database.read.selectFrom('certificate').select('serial').execute()).length;

test('the root of trust that enrolled gets its next key certified, under its own id', async () => {
  await using hub = await hubWithPress();
  const first = await ask(hub);
  const renewed = await ask(hub, { renewedFrom: serialText(first) });
  const row = await hub.database.read
    .selectFrom('certificate')
    .select(['device_id', 'lineage', 'renewal'])
    .where('serial', '=', serialText(renewed))
    .executeTakeFirstOrThrow();
  assert.deepEqual({ ...row }, { device_id: 'press-1', lineage: 1, renewal: 1 });
  const kinds = (await auditEntries(hub.database)).map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(-2), ['device-recovered', 'certificate-renewed']);
});

test('evidence by another key, over another nonce or over another operational key certifies nothing', async () => {
  await using hub = await hubWithPress();
  const dishonest: readonly (readonly [Ask, string])[] = [
    [{ boot: { signer: fixedKey(9) } }, 'signature-invalid'],
    [{ boot: { qualifyingData: new Uint8Array(32) } }, 'qualifying-data-mismatch'],
    [{ over: newSigner() }, 'qualifying-data-mismatch'],
    [{ signed: second }, 'signature-invalid'],
    [{ boot: { resetCount: 6 } }, 'reset-count-decreased'],
  ];
  for (const [change, reason] of dishonest)
    assert.equal(await refusalOf(ask(hub, change)), `renewal-refused: ${reason}`);
  assert.equal(await count(hub), 1);
});

// SECURITY.md: DEV-70
test('evidence is for one hub, one device with its keys, one connection and one purpose', async () => {
  await using hub = await hubWithPress();
  const dishonest: readonly Ask[] = [
    { claims: { hub: 'other.example/log' } },
    { claims: { deviceId: 'press-2' } },
    { claims: { identity: second } },
    { claims: { exporter: new Uint8Array(32).fill(6) } },
    { purpose: 'renew' },
    { purpose: 'enroll' },
    { purpose: 'recover', renewedFrom: '01' },
  ];
  for (const change of dishonest)
    assert.equal(
      await refusalOf(ask(hub, change)),
      'renewal-refused: qualifying-data-mismatch',
      JSON.stringify(change),
    );
  assert.equal(await count(hub), 1);
});

test('a device that is cut off gets no certificate, also when that happened while its evidence was weighed', async () => {
  for (const [cut, code] of [
    [
      (hub: EnrollmentHub) => quarantineDevice(fleetOf(hub), { deviceId: 'press-1', reason: 'odd', ...by }),
      'device-quarantined',
    ],
    [
      (hub: EnrollmentHub) => disableDevice(fleetOf(hub), { deviceId: 'press-1', reason: 'sold', ...by }),
      'device-disabled',
    ],
  ] as const) {
    await using hub = await hubWithPress();
    const device = await getDevice(hub.database.read, 'press-1');
    await cut(hub);
    assert.equal(await refusalOf(ask(hub, { device })), code);
    assert.equal(await refusalOf(ask(hub)), code);
    assert.equal(await count(hub), 1);
  }
});

test('a client that cannot prove a device learns nothing about its state', async () => {
  await using hub = await hubWithPress();
  await quarantineDevice(fleetOf(hub), { deviceId: 'press-1', reason: 'odd', ...by });
  const stranger = ask(hub, { boot: { signer: fixedKey(9) } });
  assert.equal(await refusalOf(stranger), 'renewal-refused: signature-invalid');
});

test('an identity that ended with a wipe is certified no more, also when the device has enrolled again', async () => {
  await using hub = await hubWithPress();
  const device = await getDevice(hub.database.read, 'press-1');
  await wipe(hub, 'press-1');
  assert.equal(await refusalOf(ask(hub, { device })), 'renewal-refused: identity-ended');
  await enrollWith(hub, press);
  assert.equal(await refusalOf(ask(hub, { device })), 'renewal-refused: identity-ended');
  await ask(hub);
});

test('an operational key is certified for one device and one identity of it', async () => {
  await using hub = await hubWithPress();
  await enrollWith(hub, second, { token: await hub.token() });
  const key = newSigner();
  await ask(hub, { key });
  await ask(hub, { key });
  const other = ask(hub, { key, device: await getDevice(hub.database.read, 'press-2'), signed: second });
  assert.equal(await refusalOf(other), 'renewal-refused: operational-key-used');
  await wipe(hub, 'press-1');
  await enrollWith(hub, press);
  assert.equal(await refusalOf(ask(hub, { key })), 'renewal-refused: operational-key-used');
});

test('no certificate of an issuing CA goes out that was replaced while it was made', async () => {
  await using hub = await hubWithPress();
  for (const status of ['retiring', 'next', 'active'] as const) {
    await hub.database.write((trx) => trx.updateTable('issuing_authority').set({ status }).execute());
    await ask(hub);
  }
  for (const status of ['revoked', 'requested'] as const) {
    await hub.database.write((trx) => trx.updateTable('issuing_authority').set({ status }).execute());
    assert.equal(await refusalOf(ask(hub)), 'conflict', status);
  }
});
