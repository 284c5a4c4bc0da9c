import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { wrappedKeyHpkeInfo } from '@edgekeep/core/access/wrapped-key';
import { appraiseEvidence } from '@edgekeep/core/attest/appraise';
import { parseDiceStatement } from '@edgekeep/core/attest/dice-statement';
import { encodeEventLogHeader } from '@edgekeep/core/attest/event-log';
import { toBase64url, toHex, utf8 } from '@edgekeep/core/bytes';
import { parseCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { hpkeSeal } from '@edgekeep/core/identity/hpke';
import { parseP256Point } from '@edgekeep/core/identity/p256-point';
import { HardwareError, type HardwareErrorCode } from '../error.ts';
import { DiceRootOfTrust } from './dice-root-of-trust.ts';
import { aliasKeyFileName, chainFileName, type DiceHandoff, readHandoffFolder } from './handoff.ts';
import { DiceSimulator, DiceVendor, type FirmwareLayer, writeHandoffFolder } from './testing-simulator.ts';

const vendor = await DiceVendor.create('Example chips');
const selection = { bank: 'sha256', pcrs: [0, 14] } as const;

function firmware(runtime = 'runtime 1', changes: Partial<FirmwareLayer> = {}): readonly FirmwareLayer[] {
  const layer = (image: string, svn: number): FirmwareLayer => {
    return { image: utf8(image), vendor: 'Example', model: 'E1', version: '1.0', svn };
  };
  return [layer('boot', 1), { ...layer(runtime, 3), ...changes }];
}

async function temporaryFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-dice-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function withCode(code: HardwareErrorCode) {
  return (error: unknown) => error instanceof HardwareError && error.code === code;
}

async function rootOfTrust(context: TestContext, handoff: DiceHandoff): Promise<DiceRootOfTrust> {
  return DiceRootOfTrust.open(handoff, { stateFolder: await temporaryFolder(context), bootId: 'boot-1' });
}

async function sealingKeyOf(device: DiceRootOfTrust): Promise<Uint8Array> {
  const signed = await device.attest(randomBytes(32), selection);
  assert.ok(signed.kind === 'dice');
  return parseDiceStatement(signed.statement).sealingKey;
}

test('what the root of trust signs is appraised as genuine, with the layers that were booted', async (context) => {
  const chip = new DiceSimulator(vendor, randomBytes(32));
  const device = await rootOfTrust(context, await chip.boot(firmware()));
  const { deviceIdCertificates } = await device.describe();
  const qualifyingData = randomBytes(32);
  const signed = await device.attest(qualifyingData, selection);
  assert.ok(signed.kind === 'dice');
  const [deviceId = new Uint8Array(0)] = deviceIdCertificates;
  const appraisal = appraiseEvidence({
    evidence: { ...signed, eventLog: encodeEventLogHeader() },
    key: { publicKey: publicKeyOf(parseCertificate(deviceId)) },
    tier: 'dice',
    expectedQualifyingData: qualifyingData,
    pcrSelection: selection.pcrs,
    referenceValues: [],
    dice: { trust: { anchors: [vendor.root], intermediates: [] }, atSeconds: 1_800_000_000 },
  });
  assert.deepEqual(
    appraisal.dice?.layers.map(({ layer, svn }) => [layer, svn]),
    [
      [0, 1],
      [1, 3],
    ],
  );
  assert.equal(appraisal.vector.hardware, 2);
});

test('the same firmware has the same keys after each start; other firmware, another state or another chip has others', async (context) => {
  const secret = randomBytes(32);
  const sealingKey = async (chip: DiceSimulator, layers: readonly FirmwareLayer[]) =>
    toHex(await sealingKeyOf(await rootOfTrust(context, await chip.boot(layers))));
  const chip = new DiceSimulator(vendor, secret);
  const first = await sealingKey(chip, firmware());
  assert.equal(await sealingKey(new DiceSimulator(vendor, secret), firmware()), first);
  const others = [
    await sealingKey(chip, firmware('runtime 2')),
    await sealingKey(chip, firmware('runtime 1', { svn: 4 })),
    await sealingKey(chip, firmware('runtime 1', { flags: ['debug'] })),
    await sealingKey(new DiceSimulator(vendor, randomBytes(32)), firmware()),
  ];
  assert.equal(new Set([first, ...others]).size, 5);
});

test('a firmware update changes the alias key and leaves the DeviceID as it is', async () => {
  const chip = new DiceSimulator(vendor, randomBytes(32));
  const before = await chip.boot(firmware('runtime 1'));
  const after = await chip.boot(firmware('runtime 2'));
  const spki = ({ chain }: DiceHandoff, at: number) => toHex(parseCertificate(chain.at(at) ?? new Uint8Array(0)).spki);
  assert.equal(spki(before, -1), spki(after, -1));
  assert.notEqual(spki(before, 0), spki(after, 0));
});

// SECURITY.md: DEV-20
test('a key sealed to one firmware does not open under another, nor for another lease', async (context) => {
  const chip = new DiceSimulator(vendor, randomBytes(32));
  const device = await rootOfTrust(context, await chip.boot(firmware()));
  const secret = randomBytes(32);
  const { encapsulatedKey, ciphertext } = hpkeSeal({
    recipientPublicKey: parseP256Point(await sealingKeyOf(device)),
    info: utf8(wrappedKeyHpkeInfo),
    aad: utf8('lease-1'),
    plaintext: secret,
  });
  const texts = { encapsulatedKey: toBase64url(encapsulatedKey), ciphertext: toBase64url(ciphertext) };
  const wrapped = { kind: 'hpke', ...texts } as const;
  assert.equal(toHex(await device.openKey(wrapped, { leaseId: 'lease-1' })), toHex(secret));
  await assert.rejects(device.openKey(wrapped, { leaseId: 'lease-2' }), withCode('wrapped-key-refused'));
  await assert.rejects(device.openKey(wrapped), withCode('wrapped-key-unsupported'));
  const updated = await rootOfTrust(context, await chip.boot(firmware('runtime 2')));
  await assert.rejects(updated.openKey(wrapped, { leaseId: 'lease-1' }), withCode('wrapped-key-refused'));
});

test('a handoff folder is read back, and refused once others can read the key or change the chain', async (context) => {
  const folder = join(await temporaryFolder(context), 'handoff');
  const handoff = await new DiceSimulator(vendor, randomBytes(32)).boot(firmware());
  await writeHandoffFolder(folder, handoff);
  const keyFile = join(folder, aliasKeyFileName);
  assert.equal((await stat(keyFile)).mode & 0o777, 0o600);
  const read = await readHandoffFolder(folder);
  assert.deepEqual(read.chain.map(toHex), handoff.chain.map(toHex));
  assert.ok(createPublicKey(read.aliasKey).equals(createPublicKey(handoff.aliasKey)));

  await chmod(keyFile, 0o640);
  await assert.rejects(readHandoffFolder(folder), withCode('dice-handoff-invalid'));
  await chmod(keyFile, 0o600);
  const chainFile = join(folder, chainFileName);
  await chmod(chainFile, 0o622);
  await assert.rejects(readHandoffFolder(folder), withCode('dice-handoff-invalid'));
  await chmod(chainFile, 0o644);
  await readHandoffFolder(folder);

  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await assert.rejects(readHandoffFolder(folder), /not the key of the first certificate/);
  await writeFile(keyFile, 'not a key');
  await assert.rejects(readHandoffFolder(folder), withCode('dice-handoff-invalid'));
  await rename(keyFile, `${keyFile}.real`);
  await symlink(`${keyFile}.real`, keyFile);
  await assert.rejects(readHandoffFolder(folder), withCode('dice-handoff-invalid'));
});

test('a chain without layers above a DeviceID is refused at the start', async (context) => {
  const { chain, aliasKey } = await new DiceSimulator(vendor, randomBytes(32)).boot(firmware());
  const place = { stateFolder: await temporaryFolder(context), bootId: 'boot-1' };
  const wrong: readonly (readonly Uint8Array[])[] = [[], chain.slice(1), [vendor.root.der], [utf8('no certificate')]];
  for (const some of wrong) {
    await assert.rejects(DiceRootOfTrust.open({ chain: some, aliasKey }, place), withCode('dice-handoff-invalid'));
  }
});
