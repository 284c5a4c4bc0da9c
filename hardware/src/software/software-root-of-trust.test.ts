import assert from 'node:assert/strict';
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { wrappedKeyHpkeInfo } from '@edgekeep/core/access/wrapped-key';
import { parseSoftwareStatement, signedStatement } from '@edgekeep/core/attest/evidence';
import { toBase64url, toHex, utf8 } from '@edgekeep/core/bytes';
import { hpkeSeal } from '@edgekeep/core/identity/hpke';
import { parseP256Point } from '@edgekeep/core/identity/p256-point';
import { HardwareError, type HardwareErrorCode } from '../error.ts';
import { SoftwareRootOfTrust } from './software-root-of-trust.ts';

const bank = 'sha256';
const zeros = '00'.repeat(32);

async function temporaryFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-software-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function withCode(code: HardwareErrorCode) {
  return (error: unknown) => error instanceof HardwareError && error.code === code;
}

async function wrapFor(device: SoftwareRootOfTrust, secret: Uint8Array, leaseId: string) {
  const { encryptionPublic } = await device.describe();
  const { encapsulatedKey, ciphertext } = hpkeSeal({
    recipientPublicKey: parseP256Point(encryptionPublic),
    info: utf8(wrappedKeyHpkeInfo),
    aad: utf8(leaseId),
    plaintext: secret,
  });
  return {
    kind: 'hpke',
    encapsulatedKey: toBase64url(encapsulatedKey),
    ciphertext: toBase64url(ciphertext),
  } as const;
}

test('a statement carries the qualifying data and the PCRs, and verifies under the described key', async (context) => {
  const device = await SoftwareRootOfTrust.open({ stateFolder: await temporaryFolder(context), bootId: 'boot-1' });
  const digest = randomBytes(32);
  await device.extend(4, digest);
  const qualifyingData = randomBytes(32);
  const signed = await device.attest(qualifyingData, { bank, pcrs: [0, 4] });
  assert.ok(signed.kind === 'software');
  const statement = parseSoftwareStatement(signed.statement);
  assert.deepEqual(toHex(statement.qualifyingData), toHex(qualifyingData));
  const values = await device.readPcrs({ bank, pcrs: [0, 4] });
  for (const [pcr, value] of statement.pcrs) assert.equal(toHex(value), toHex(values.get(pcr) ?? new Uint8Array(0)));
  assert.equal(statement.pcrs.size, 2);
  const { signingPublic } = await device.describe();
  const key = createPublicKey({ key: Buffer.from(signingPublic), format: 'der', type: 'spki' });
  assert.ok(verify('sha256', signedStatement(signed), key, signed.signature));
});

test('keys and PCRs outlive the process; a new boot starts the PCRs over and keeps the keys', async (context) => {
  const stateFolder = await temporaryFolder(context);
  const first = await SoftwareRootOfTrust.open({ stateFolder, bootId: 'boot-1' });
  await first.extend(7, randomBytes(32));
  const value = toHex((await first.readPcrs({ bank, pcrs: [7] })).get(7) ?? new Uint8Array(0));
  const same = await SoftwareRootOfTrust.open({ stateFolder, bootId: 'boot-1' });
  assert.equal(toHex((await same.readPcrs({ bank, pcrs: [7] })).get(7) ?? new Uint8Array(0)), value);
  const next = await SoftwareRootOfTrust.open({ stateFolder, bootId: 'boot-2' });
  assert.equal(toHex((await next.readPcrs({ bank, pcrs: [7] })).get(7) ?? new Uint8Array(0)), zeros);
  assert.deepEqual(await next.describe(), await first.describe());
});

test('a key wrapped for this device and lease opens; for another device or lease it is refused', async (context) => {
  const device = await SoftwareRootOfTrust.open({ stateFolder: await temporaryFolder(context), bootId: 'boot-1' });
  const other = await SoftwareRootOfTrust.open({ stateFolder: await temporaryFolder(context), bootId: 'boot-1' });
  const secret = randomBytes(32);
  const wrapped = await wrapFor(device, secret, 'lease-1');
  assert.deepEqual(toHex(await device.openKey(wrapped, { leaseId: 'lease-1' })), toHex(secret));
  await assert.rejects(device.openKey(wrapped, { leaseId: 'lease-2' }), withCode('wrapped-key-refused'));
  await assert.rejects(other.openKey(wrapped, { leaseId: 'lease-1' }), withCode('wrapped-key-refused'));
  await assert.rejects(device.openKey(wrapped), withCode('wrapped-key-unsupported'));
});

test('key files are for their owner alone, and one that others can read is refused', async (context) => {
  const stateFolder = await temporaryFolder(context);
  await SoftwareRootOfTrust.open({ stateFolder, bootId: 'boot-1' });
  for (const name of await readdir(stateFolder)) {
    const { mode } = await stat(join(stateFolder, name));
    if (name.endsWith('.pem')) assert.equal(mode & 0o777, 0o600, name);
  }
  await chmod(join(stateFolder, 'signing-key.pem'), 0o644);
  await assert.rejects(SoftwareRootOfTrust.open({ stateFolder, bootId: 'boot-1' }), withCode('software-state-invalid'));
});

test('a PCR file or a key with one damaged copy is put back; without a whole one, PCRs start over and a key is refused', async (context) => {
  const stateFolder = await temporaryFolder(context);
  const bootId = 'boot-1';
  const device = await SoftwareRootOfTrust.open({ stateFolder, bootId });
  await device.extend(1, randomBytes(32));
  const pcr = async (of: SoftwareRootOfTrust) => (await of.readPcrs({ bank: 'sha256', pcrs: [1] })).get(1);
  const [value, identity] = [await pcr(device), await device.describe()];
  for (const text of ['', 'boot-1\n00\n', 'not a key']) {
    for (const name of ['pcrs', 'signing-key.pem']) await writeFile(join(stateFolder, name), text);
    const again = await SoftwareRootOfTrust.open({ stateFolder, bootId });
    assert.deepEqual([await pcr(again), await again.describe()], [value, identity]);
  }
  for (const name of ['pcrs', 'pcrs.copy']) await writeFile(join(stateFolder, name), '');
  assert.deepEqual(await pcr(await SoftwareRootOfTrust.open({ stateFolder, bootId })), new Uint8Array(32));
  for (const name of ['signing-key.pem', 'signing-key.pem.copy']) await writeFile(join(stateFolder, name), '');
  await assert.rejects(SoftwareRootOfTrust.open({ stateFolder, bootId }), withCode('software-state-invalid'));
});

test('PCRs of a dynamic launch, PCRs that do not exist and digests of another length are refused', async (context) => {
  const device = await SoftwareRootOfTrust.open({ stateFolder: await temporaryFolder(context), bootId: 'boot-1' });
  await assert.rejects(device.extend(17, randomBytes(32)), withCode('software-unsupported'));
  await assert.rejects(device.extend(24, randomBytes(32)), withCode('software-unsupported'));
  await assert.rejects(device.extend(4, randomBytes(20)), withCode('software-unsupported'));
});
