// IDevIDs in TPM simulators: the key, its proof, its certificate in NV.
import assert from 'node:assert/strict';
import { randomBytes, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { attestationKeyOf } from '@edgekeep/core/attest/quote';
import { toHex } from '@edgekeep/core/bytes';
import { parseCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { idevidProofMessage, verifyIdevidProof } from '@edgekeep/core/attest/idevid-proof';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { newSigner, testManufacturer } from '@edgekeep/core/identity/testing-manufacturer';
import { parseAttest } from '@edgekeep/core/tpm/attest';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import { idevidCertificateIndex } from '@edgekeep/core/tpm/template';
import { HardwareError } from '../error.ts';
import { writeIdevidFile } from '../idevid-file.ts';
import type { TpmSimulator } from './simulator.ts';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators, tpm2 } from './testing.ts';
import { TpmRootOfTrust } from './tpm-root-of-trust.ts';

const skip = await skipWithout(...simulatorTools, 'tpm2_nvread');
let simulators: TestSimulators;
let first: TpmSimulator;
let second: TpmSimulator;

before(async () => {
  if (skip !== false) return;
  simulators = await testSimulators();
  [first, second] = await Promise.all([simulators.start('first'), simulators.start('second')]);
});
after(() => simulators?.[Symbol.asyncDispose]());

async function keyOf(simulator: TpmSimulator): Promise<string> {
  await using device = await TpmRootOfTrust.open(simulator.address);
  return toHex(encodeSpki((await device.idevidSigner()).publicKey));
}

async function attestationKeyIn(device: TpmRootOfTrust) {
  return attestationKeyOf(parsePublic((await device.describe()).attestationPublic), 'endorsement');
}

test('the IDevID key is the same after a power cycle and another one in another TPM', { skip }, async () => {
  const before = await keyOf(first);
  await first.powerCycle();
  assert.equal(await keyOf(first), before);
  assert.notEqual(await keyOf(second), before);
});

test('a TPM without an IDevID says so', { skip }, async () => {
  await using device = await TpmRootOfTrust.open(second.address);
  assert.equal(await device.idevid(), undefined);
});

test('an IDevID in NV proves itself, and nothing but what it was asked', { skip }, async () => {
  const manufacturer = await testManufacturer();
  await using device = await TpmRootOfTrust.open(first.address);
  const signer = await device.idevidSigner();
  const chain = await manufacturer.issue(encodeSpki(signer.publicKey), { serialNumber: 'SN-TPM' });
  assert.equal(await device.storeIdevid(chain), 'stored');
  const message = randomBytes(40);
  assert.ok(verify('sha256', message, signer.publicKey, await signer.sign(message)));

  const held = await device.idevid();
  assert.deepEqual(held?.chain.map(toHex), chain.map(toHex));
  const subject = {
    use: 'enroll',
    nonce: randomBytes(32),
    operationalSpki: randomBytes(91),
    deviceId: 'sn-tpm',
    identity: { a: 1 },
  } as const;
  const proof = await held.prove(idevidProofMessage(subject));
  const publicKey = publicKeyOf(parseCertificate(chain[0]));
  const expected = { publicKey, subject, attestationKey: await attestationKeyIn(device) };
  assert.deepEqual(verifyIdevidProof(proof, expected), { kind: 'verified' });
  assert.ok(proof.residency);
  assert.equal(parseAttest(proof.residency.attest).kind, 'creation');

  const code = (verdict: ReturnType<typeof verifyIdevidProof>) => (verdict.kind === 'refused' ? verdict.code : 'none');
  const other = { ...expected, subject: { ...subject, deviceId: 'another' } };
  assert.equal(code(verifyIdevidProof(proof, other)), 'idevid-not-possessed');
  assert.equal(code(verifyIdevidProof({ signature: proof.signature }, expected)), 'idevid-residency-missing');
  const replayed = { ...subject, nonce: randomBytes(32) };
  const mixed = { ...(await held.prove(idevidProofMessage(replayed))), residency: proof.residency };
  assert.equal(code(verifyIdevidProof(mixed, { ...expected, subject: replayed })), 'idevid-not-in-this-tpm');
  // Each step loads a key and unloads it again: a TPM has three slots.
  for (let time = 0; time < 4; time++) await held.prove(message);
  await device.activateCredential(new Uint8Array(4), new Uint8Array(4)).catch(() => undefined);
});

test('an IDevID key of one TPM is not certified by the attestation key of another', { skip }, async () => {
  await using one = await TpmRootOfTrust.open(first.address);
  await using other = await TpmRootOfTrust.open(second.address);
  const held = await one.idevid();
  assert.ok(held);
  const [leaf = new Uint8Array(0)] = held.chain;
  const subject = {
    use: 'enroll',
    nonce: randomBytes(32),
    operationalSpki: randomBytes(91),
    deviceId: 'sn',
    identity: {},
  } as const;
  const verdict = verifyIdevidProof(await held.prove(idevidProofMessage(subject)), {
    publicKey: publicKeyOf(parseCertificate(leaf)),
    subject,
    attestationKey: await attestationKeyIn(other),
  });
  assert.ok(verdict.kind === 'refused');
  assert.equal(verdict.code, 'idevid-not-in-this-tpm');
});

test('the certificate can be read with tpm2-tools', { skip }, async () => {
  const chain = await (async () => {
    await using device = await TpmRootOfTrust.open(first.address);
    return (await device.idevid())?.chain ?? [];
  })();
  const index = `0x${idevidCertificateIndex.toString(16)}`;
  await tpm2(first, simulators.folder, 'nvread', index, '-o', 'idevid.der');
  const read = await readFile(join(simulators.folder, 'idevid.der'));
  assert.equal(toHex(read), chain.map(toHex).join(''));
});

test('an IDevID of another key is refused at the device, in NV as in a file', { skip }, async () => {
  const manufacturer = await testManufacturer();
  const chain = await manufacturer.issue(encodeSpki(newSigner().publicKey), {});
  const unexpected = (error: unknown) => error instanceof HardwareError && error.code === 'tpm-key-unexpected';
  const idevidFile = join(simulators.folder, 'idevid.pem');
  await writeIdevidFile(idevidFile, chain);
  await using fromFile = await TpmRootOfTrust.open(second.address, { idevidFile });
  await assert.rejects(fromFile.idevid(), unexpected);
  await fromFile.storeIdevid(chain);
  await assert.rejects(fromFile.idevid(), unexpected);
});

test(
  'a chain that no NV index can take leaves room for the IDevID alone, and one too long for that is not stored',
  { skip },
  async () => {
    const manufacturer = await testManufacturer();
    await using device = await TpmRootOfTrust.open(second.address);
    const { publicKey } = await device.idevidSigner();
    const [leaf] = await manufacturer.issue(encodeSpki(publicKey), {});
    assert.equal(await device.storeIdevid([leaf, randomBytes(4_096)]), 'stored');
    assert.deepEqual((await device.idevid())?.chain.map(toHex), [toHex(leaf)]);
    assert.equal(await device.storeIdevid([randomBytes(4_096)]), 'no-room');
    assert.equal(await device.idevid(), undefined);
  },
);

test('a TPM whose owner has a password takes no certificate, and proves with one from a file', { skip }, async () => {
  const owned = await simulators.start('owned');
  await tpm2(owned, simulators.folder, 'changeauth', '-c', 'owner', 'secret');
  const idevidFile = join(simulators.folder, 'owned.pem');
  await using device = await TpmRootOfTrust.open(owned.address, { idevidFile });
  const manufacturer = await testManufacturer();
  const chain = await manufacturer.issue(encodeSpki((await device.idevidSigner()).publicKey), {});
  assert.equal(await device.storeIdevid(chain), 'no-room');
  await writeIdevidFile(idevidFile, chain);
  const held = await device.idevid();
  assert.ok((await held?.prove(randomBytes(40)))?.residency);
});
