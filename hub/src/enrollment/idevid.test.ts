// Identities that manufacturers gave for life: a path, the key at hand, one device for each, under its own name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idevidProofMessage } from '@edgekeep/core/attest/idevid-proof';
import { toBase64url } from '@edgekeep/core/bytes';
import { encodePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import { newSigner, testManufacturer } from '@edgekeep/core/identity/testing-manufacturer';
import type { Signer } from '@edgekeep/core/signer';
import { groupTerms } from '@edgekeep/wire/api/enrollment-group';
import { type TestDevice, testKeyDevice } from '../attest/testing-device.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { refusalOf } from '../common/testing-refusal.ts';
import { blockRoot } from '../registry/admission-lists.ts';
import { createEnrollmentGroup } from './groups.ts';
import { assertIdevidFree, readShownIdevid, recordIdevid } from './idevid.ts';
import {
  by,
  type Enrollment,
  type EnrollmentHub,
  enrollWith,
  madeTpmDevice,
  nowMs,
  openEnrollmentHub,
  startWith,
} from './testing-enrollment.ts';

const works = await testManufacturer();
const lock = testKeyDevice('sn-1', 1, 'secure-element');
const other = testKeyDevice('sn-2', 2, 'secure-element');

interface Made {
  readonly signer: Signer;
  readonly chain: readonly string[];
}

/** An IDevID by the manufacturer, with its key. */
async function made(
  serialNumber: string,
  change: {
    readonly signer?: Signer;
    readonly by?: typeof works;
    readonly inVerifiedTpm?: boolean;
    readonly product?: string;
  } = {},
): Promise<Made> {
  const { signer = newSigner(), by: issuer = works, inVerifiedTpm = false, product } = change;
  const subject = { serialNumber, inVerifiedTpm, product };
  const chain = await issuer.issue(encodeSpki(signer.publicKey), subject);
  return { signer, chain: chain.map(toBase64url) };
}

/** A hub at which the devices of the manufacturer enroll without a token. */
async function hubOfWorks(): Promise<EnrollmentHub> {
  const hub = await openEnrollmentHub();
  const certificate = encodePem('CERTIFICATE', works.root.der);
  const terms = groupTerms.parse({});
  const order = { name: 'works', kind: 'ca', description: '', groups: [], certificate, terms, ...by } as const;
  await createEnrollmentGroup(hub.database, order);
  return hub;
}

/** Enrolls with an IDevID whose key `signer` is. */
function enroll(hub: EnrollmentHub, device: TestDevice, { signer, chain }: Made, change: Enrollment = {}) {
  return enrollWith(hub, device, {
    idevid: { chain },
    answer: async ({ certificateRequest }, nonce) => {
      const operationalSpki = parseCertificateRequest(certificateRequest).spki;
      const subject = {
        use: 'enroll',
        nonce,
        operationalSpki,
        deviceId: device.id,
        identity: device.identity,
      } as const;
      return { idevidProof: { signature: toBase64url(await signer.sign(idevidProofMessage(subject))) } };
    },
    ...change,
  });
}

test('a device that its manufacturer vouches for enrolls without a token, under the id of its serial number', async () => {
  await using hub = await hubOfWorks();
  await enroll(hub, lock, await made('SN-1'));
  const row = await hub.database.read.selectFrom('device_idevid').selectAll().executeTakeFirstOrThrow();
  assert.deepEqual([row.device_id, row.serial_number], ['sn-1', 'SN-1']);
});

test('the product that the IDevID names is kept for reference values that are for one product', async () => {
  await using hub = await hubOfWorks();
  await enroll(hub, lock, await made('SN-1', { product: 'Press 4' }));
  await enroll(hub, other, await made('SN-2'));
  const rows = await hub.database.read.selectFrom('device').select(['id', 'product']).orderBy('id').execute();
  assert.deepEqual(
    rows.map(({ id, product }) => `${id} ${product}`),
    ['sn-1 Press 4', 'sn-2 null'],
  );
});

test('the key of the IDevID has to be at hand: no proof, one by another key and one for another device are refused', async () => {
  await using hub = await hubOfWorks();
  const own = await made('SN-1');
  const without = enroll(hub, lock, own, { answer: () => ({}) });
  assert.equal(await refusalOf(without), 'enrollment-refused: idevid-proof-missing');
  const stolen = enroll(hub, lock, { ...own, signer: newSigner() });
  assert.equal(await refusalOf(stolen), 'enrollment-refused: idevid-not-possessed');
  const replayed = enroll(hub, lock, own, {
    answer: async ({ certificateRequest }) => {
      const operationalSpki = parseCertificateRequest(certificateRequest).spki;
      const nonce = new Uint8Array(32);
      const subject = { use: 'enroll', nonce, operationalSpki, deviceId: 'sn-1', identity: lock.identity } as const;
      return { idevidProof: { signature: toBase64url(await own.signer.sign(idevidProofMessage(subject))) } };
    },
  });
  assert.equal(await refusalOf(replayed), 'enrollment-refused: idevid-not-possessed');
});

test('an IDevID of a manufacturer that nobody here trusts lets nobody in, and is named', async () => {
  await using hub = await hubOfWorks();
  const foreign = await made('SN-1', { by: await testManufacturer('Other Works') });
  const begun = startWith(hub, lock, { idevid: { chain: foreign.chain } });
  assert.equal(await refusalOf(begun), 'enrollment-refused: idevid-authority-unknown');
  const named = await made('SN-1', { by: await testManufacturer() });
  const imitated = startWith(hub, lock, { idevid: { chain: named.chain } });
  assert.equal(await refusalOf(imitated), 'enrollment-refused: idevid-path');
});

test('a root of trust in files does not speak for an IDevID, and a TPM’s IDevID enrolls with that TPM', async () => {
  await using hub = await hubOfWorks();
  const { chain } = await made('SN-1');
  const file = testKeyDevice('sn-1', 3);
  assert.equal(await refusalOf(startWith(hub, file, { idevid: { chain } })), 'enrollment-refused: idevid-tier-differs');
  const ofTpm = await made('SN-1', { inVerifiedTpm: true });
  const moved = startWith(hub, lock, { idevid: { chain: ofTpm.chain } });
  assert.equal(await refusalOf(moved), 'enrollment-refused: idevid-tier-differs');
  const tpm = await madeTpmDevice('sn-1', 4);
  await startWith(hub, tpm, { idevid: { chain: ofTpm.chain } });
  const uncertified = enroll(hub, tpm, ofTpm);
  assert.equal(await refusalOf(uncertified), 'enrollment-refused: idevid-residency-missing');
});

test('a device takes no other id than that of its serial number, unless a token or an import names it', async () => {
  await using hub = await hubOfWorks();
  const own = await made('SN-1');
  const named = { ...lock, id: 'sn-2' };
  const begun = startWith(hub, named, { idevid: { chain: own.chain } });
  assert.equal(await refusalOf(begun), 'enrollment-refused: idevid-id-differs');
  await enroll(hub, named, own, { token: await hub.token({ deviceId: 'sn-2' }) });
});

test('one IDevID is one device, also when the second has a token, and the two are an alert', async () => {
  await using hub = await hubOfWorks();
  const own = await made('SN-1');
  await enroll(hub, lock, own);
  const clone = { ...other, id: 'sn-9' };
  const cloned = enroll(hub, clone, own, { token: await hub.token() });
  assert.equal(await refusalOf(cloned), 'enrollment-refused: idevid-taken');
  const [alert] = await hub.database.read.selectFrom('alert').select(['kind', 'severity', 'device_id']).execute();
  assert.deepEqual([alert?.kind, alert?.severity, alert?.device_id], ['clone', 'critical', 'sn-1']);
});

test('a certificate of one device is not accepted from another, by any path of trust', async () => {
  await using hub = await hubOfWorks();
  await enroll(hub, lock, await made('SN-1'));
  const { chain } = await made('SN-2');
  const asked = { tier: 'secure-element', trust: hub.vendorRoots.trust('idevid'), nowMs } as const;
  const shown = await readShownIdevid(hub.database.read, chain, asked);
  assert.ok(shown.kind === 'trusted');
  const byOtherPath = { ...shown, authorities: ['0'.repeat(64)] };
  const check = (deviceId: string) => hub.database.write((trx) => assertIdevidFree(trx, byOtherPath, deviceId));
  await check('sn-9');
  await hub.database.write((trx) => recordIdevid(trx, shown, { deviceId: 'sn-1', nowMs }));
  await check('sn-1');
  assert.equal(await refusalOf(check('sn-9')), 'enrollment-refused: idevid-taken');
});

test('a second IDevID with the serial number of another device is the same device, in upper and lower case', async () => {
  await using hub = await hubOfWorks();
  await enroll(hub, lock, await made('SN-1'));
  for (const serialNumber of ['SN-1', 'sn-1', 'Sn-1']) {
    const again = enroll(hub, { ...other, id: 'sn-9' }, await made(serialNumber), { token: await hub.token() });
    assert.equal(await refusalOf(again), 'enrollment-refused: idevid-taken', serialNumber);
  }
  await enroll(hub, other, await made('SN-2'));
});

test('of two devices that began with one IDevID at a time, one is registered', async () => {
  await using hub = await hubOfWorks();
  const own = await made('SN-1');
  const raced = enroll(hub, lock, own, {
    between: async () => enroll(hub, { ...other, id: 'sn-9' }, own, { token: await hub.token() }),
  });
  assert.equal(await refusalOf(raced), 'enrollment-refused: idevid-taken');
  const ids = await hub.database.read.selectFrom('device').select('id').execute();
  assert.deepEqual(
    ids.map(({ id }) => id),
    ['sn-9'],
  );
});

test('an IDevID that is blocked enrolls neither at the first step nor at the second', async () => {
  await using hub = await hubOfWorks();
  const own = await made('SN-1');
  const rootSha256 = sha256Hex(Buffer.from(own.chain[0] ?? '', 'base64url'));
  const raced = enroll(hub, lock, own, {
    between: () => blockRoot(hub.database, { rootSha256, reason: 'stolen', ...by }),
  });
  assert.equal(await refusalOf(raced), 'enrollment-refused: root-of-trust-blocked');
  const begun = startWith(hub, lock, { idevid: { chain: own.chain } });
  assert.equal(await refusalOf(begun), 'enrollment-refused: root-of-trust-blocked');
});
