// IDevIDs in real SoftHSM2 tokens: the key is made there and stays, the certificate is stored beside it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { toHex } from '@edgekeep/core/bytes';
import { parseCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { idevidProofMessage, verifyIdevidProof } from '@edgekeep/core/attest/idevid-proof';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { newSigner, testManufacturer } from '@edgekeep/core/identity/testing-manufacturer';
import { HardwareError } from '../error.ts';
import { writeIdevidFile } from '../idevid-file.ts';
import { Pkcs11RootOfTrust } from './pkcs11-root-of-trust.ts';
import { skipWithoutSoftHsm, softHsmModule, type TestTokens, testTokens } from './testing.ts';
import { idevidSigner } from './token-idevid.ts';
import { defaultIdevidLabel } from './token-keys.ts';

const run = promisify(execFile);
const skip = await skipWithoutSoftHsm();
let tokens: TestTokens;

before(async () => {
  if (skip === false) tokens = await testTokens('one', 'two', 'empty');
});
after(async () => {
  if (skip === false) await tokens[Symbol.asyncDispose]();
});

function open(label: string, idevidFile?: string): Promise<Pkcs11RootOfTrust> {
  const stateFolder = join(tokens.folder, 'state', label);
  return Pkcs11RootOfTrust.open({ ...tokens.place(label), stateFolder, bootId: 'boot-1', idevidFile });
}

test('a token without an IDevID says so, and no key is made by asking', { skip }, async () => {
  await using device = await open('empty');
  assert.equal(await device.idevid(), undefined);
  assert.equal(await idevidSigner(tokens.place('empty'), { make: false }), undefined);
});

test('an IDevID in a token proves itself, also after the token is opened anew', { skip }, async () => {
  const manufacturer = await testManufacturer();
  const chain = await (async () => {
    await using device = await open('one');
    const { publicKey } = await device.idevidSigner();
    const issued = await manufacturer.issue(encodeSpki(publicKey), { serialNumber: 'SN-HSM' });
    assert.equal(await device.storeIdevid(issued), 'stored');
    // Manufactured twice: the key stays, and the new certificate replaces the first.
    assert.ok((await device.idevidSigner()).publicKey.equals(publicKey));
    assert.equal(await device.storeIdevid(issued), 'stored');
    return issued;
  })();
  await using device = await open('one');
  const held = await device.idevid();
  assert.deepEqual(held?.chain.map(toHex), chain.map(toHex));
  const subject = {
    use: 'enroll',
    nonce: randomBytes(32),
    operationalSpki: randomBytes(91),
    deviceId: 'sn-hsm',
    identity: {},
  } as const;
  const proof = await held.prove(idevidProofMessage(subject));
  const expected = { publicKey: publicKeyOf(parseCertificate(chain[0])), subject, attestationKey: undefined };
  assert.deepEqual(verifyIdevidProof(proof, expected), { kind: 'verified' });
  const replayed = { ...expected, subject: { ...subject, nonce: randomBytes(32) } };
  assert.equal(verifyIdevidProof(proof, replayed).kind, 'refused');
});

test('the private key cannot be read, and pkcs11-tool sees key and certificate under the label', { skip }, async () => {
  const base = ['--module', softHsmModule, '--token-label', 'one', '--login', '--pin', tokens.pin('one')];
  const { stdout } = await run('pkcs11-tool', [...base, '--list-objects']);
  assert.match(stdout, new RegExp(`Certificate Object; type = X\\.509 cert\\s+label:\\s+${defaultIdevidLabel}\\n`));
  const key = stdout.split(/(?=Private Key Object|Public Key Object|Certificate Object)/).find((object) => {
    return object.startsWith('Private Key Object') && object.includes(defaultIdevidLabel);
  });
  assert.match(key ?? '', /Access:\s+sensitive, always sensitive, never extractable, local/);
  assert.doesNotMatch(key ?? '', /derive/);
});

test(
  'an IDevID of another key is refused at the device; a token that holds no certificate takes it from the file',
  { skip },
  async () => {
    const manufacturer = await testManufacturer();
    const idevidFile = join(tokens.folder, 'idevid.pem');
    await using device = await open('two', idevidFile);
    const { publicKey } = await device.idevidSigner();
    await writeIdevidFile(idevidFile, await manufacturer.issue(encodeSpki(newSigner().publicKey), {}));
    await assert.rejects(
      device.idevid(),
      (error) => error instanceof HardwareError && error.code === 'pkcs11-key-unexpected',
    );
    const chain = await manufacturer.issue(encodeSpki(publicKey), {});
    await writeIdevidFile(idevidFile, chain);
    assert.deepEqual((await device.idevid())?.chain.map(toHex), chain.map(toHex));
  },
);
