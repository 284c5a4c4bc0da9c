// The TPM root of trust against TPM simulators: what it must do, and everything it must refuse.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { TpmWrappedKey } from '@edgekeep/core/access/wrapped-key';
import { parseBase64url, parseHex, toBase64url, toHex } from '@edgekeep/core/bytes';
import { parseAttest } from '@edgekeep/core/tpm/attest';
import { attestationKeyProfileOf } from '@edgekeep/core/tpm/attestation-key-profile';
import { attestationKeyProfiles } from '@edgekeep/core/tpm/attestation-key-profiles';
import { createPrimary } from '@edgekeep/core/tpm/commands/object';
import { makeCredential } from '@edgekeep/core/tpm/credential';
import { makeImportBlob } from '@edgekeep/core/tpm/import-blob';
import { pcrDigest } from '@edgekeep/core/tpm/pcr-selection';
import { emptyPolicy, policyApprovalMessage, policyAuthorize, policyPcr } from '@edgekeep/core/tpm/policy';
import {
  type EccPublic,
  encodeSizedPublic,
  objectAttributes,
  parsePublic,
  primaryQualifiedName,
  publicKeyOf,
  tpmName,
} from '@edgekeep/core/tpm/public-area';
import { encodeTpmSignature, parseTpmSignature, verifyTpmSignature } from '@edgekeep/core/tpm/signature';
import { attestationKeyTemplate, endorsementKeyKinds, type EndorsementKeyKind } from '@edgekeep/core/tpm/template';
import { HardwareError, type HardwareErrorCode } from '../error.ts';
import { TpmClient } from './client.ts';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators } from './testing.ts';
import type { TpmSimulator } from './simulator.ts';
import { TpmRootOfTrust } from './tpm-root-of-trust.ts';
import { openTransport } from './transport.ts';

const skip = await skipWithout(...simulatorTools);
const pcrs = [0, 4, 7, 14];
const selection = { bank: 'sha256', pcrs } as const;
let simulators: TestSimulators;
let first: TpmSimulator;
let second: TpmSimulator;

before(async () => {
  if (skip !== false) return;
  simulators = await testSimulators();
  [first, second] = await Promise.all([simulators.start('first'), simulators.start('second')]);
});
after(() => simulators?.[Symbol.asyncDispose]());

function withCode(code: HardwareErrorCode, responseCode?: number) {
  return (error: unknown) => {
    assert.ok(error instanceof HardwareError, String(error));
    assert.equal(error.code, code);
    if (responseCode !== undefined) assert.equal(error.responseCode, responseCode);
    return true;
  };
}

async function currentPolicy(device: TpmRootOfTrust): Promise<Uint8Array> {
  return policyPcr(emptyPolicy(), [selection], pcrDigest([...(await device.readPcrs(selection)).values()]));
}

async function wrapFor(
  device: TpmRootOfTrust,
  secret: Uint8Array,
  policyDigest?: Uint8Array,
  parent: EndorsementKeyKind = 'rsa-2048',
): Promise<TpmWrappedKey> {
  const { endorsementKey } = await device.describe();
  const blob = makeImportBlob({
    parentPublic: parsePublic(endorsementKey.publicArea),
    secret,
    policyDigest: policyDigest ?? (await currentPolicy(device)),
    randomBytes,
  });
  return {
    kind: 'tpm-import',
    publicArea: toBase64url(blob.publicArea),
    duplicate: toBase64url(blob.duplicate),
    encryptedSeed: toBase64url(blob.encryptedSeed),
    pcrs,
    parent,
  };
}

for (const kind of endorsementKeyKinds) {
  test(
    `a credential for the ${kind} endorsement key is activated, a key imported under it opens`,
    { skip },
    async () => {
      await using device = await TpmRootOfTrust.open(first.address, { endorsementKey: kind });
      const { endorsementKey, attestationPublic } = await device.describe();
      const secret = randomBytes(32);
      const name = tpmName(parsePublic(attestationPublic));
      const endorsementPublic = parsePublic(endorsementKey.publicArea);
      const { credentialBlob, encryptedSecret } = makeCredential({ endorsementPublic, name, secret, randomBytes });
      assert.equal(toHex(await device.activateCredential(credentialBlob, encryptedSecret)), toHex(secret));
      const wrapped = await wrapFor(device, secret, undefined, kind);
      assert.equal(toHex(await device.openKey(wrapped)), toHex(secret));
    },
  );
}

test('the endorsement certificate is for the endorsement key and chains to the vendor', { skip }, async () => {
  const { root, intermediate } = await first.vendorCertificates();
  const [rootCertificate, issuer] = [new X509Certificate(root), new X509Certificate(intermediate)];
  assert.ok(issuer.verify(rootCertificate.publicKey));
  for (const simulator of [first, second]) {
    await using device = await TpmRootOfTrust.open(simulator.address);
    const { endorsementKey } = await device.describe();
    assert.ok(endorsementKey.certificate !== undefined);
    const certificate = new X509Certificate(endorsementKey.certificate);
    assert.ok(certificate.verify(issuer.publicKey));
    assert.ok(certificate.publicKey.equals(publicKeyOf(parsePublic(endorsementKey.publicArea))));
  }
});

test(
  'a credential is refused by another TPM, for another attestation key, and with a byte changed',
  { skip },
  async () => {
    await using device = await TpmRootOfTrust.open(first.address);
    await using other = await TpmRootOfTrust.open(second.address);
    const { endorsementKey, attestationPublic } = await device.describe();
    const endorsementPublic = parsePublic(endorsementKey.publicArea);
    const request = { endorsementPublic, secret: randomBytes(32), randomBytes };
    const good = makeCredential({ ...request, name: tpmName(parsePublic(attestationPublic)) });
    const foreign = makeCredential({
      ...request,
      name: tpmName(parsePublic((await other.describe()).attestationPublic)),
    });
    const refused = withCode('tpm-blob-refused');
    await assert.rejects(other.activateCredential(good.credentialBlob, good.encryptedSecret), refused);
    await assert.rejects(device.activateCredential(foreign.credentialBlob, foreign.encryptedSecret), refused);
    const changed = Uint8Array.from(good.credentialBlob);
    changed[40] = (changed[40] ?? 0) ^ 1;
    await assert.rejects(device.activateCredential(changed, good.encryptedSecret), refused);
  },
);

test('a quote verifies under the attestation key and names signer, data, PCRs and their digest', { skip }, async () => {
  await using device = await TpmRootOfTrust.open(first.address);
  const { attestationPublic } = await device.describe();
  const key = parsePublic(attestationPublic);
  const qualifyingData = randomBytes(32);
  const signed = await device.attest(qualifyingData, selection);
  assert.ok(signed.kind === 'tpm');
  assert.ok(verifyTpmSignature(parseTpmSignature(signed.signature), signed.quote, publicKeyOf(key)));
  const attest = parseAttest(signed.quote);
  assert.ok(attest.kind === 'quote');
  assert.equal(toHex(attest.extraData), toHex(qualifyingData));
  assert.equal(toHex(attest.qualifiedSigner), toHex(primaryQualifiedName('endorsement', tpmName(key))));
  assert.deepEqual(attest.selections, [selection]);
  assert.equal(toHex(attest.pcrDigest), toHex(pcrDigest([...(await device.readPcrs(selection)).values()])));
  const changed = Uint8Array.from(signed.quote);
  changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
  assert.ok(!verifyTpmSignature(parseTpmSignature(signed.signature), changed, publicKeyOf(key)));
});

test('the attestation key is the same after a power cycle, and resetCount went up', { skip }, async () => {
  const seen: { readonly key: string; readonly resets: number }[] = [];
  for (let boot = 0; boot < 2; boot += 1) {
    await using device = await TpmRootOfTrust.open(second.address);
    const signed = await device.attest(new Uint8Array(32), selection);
    assert.ok(signed.kind === 'tpm');
    const { attestationPublic } = await device.describe();
    seen.push({ key: toHex(attestationPublic), resets: parseAttest(signed.quote).clockInfo.resetCount });
    await device[Symbol.asyncDispose]();
    await second.powerCycle();
  }
  assert.equal(seen[0]?.key, seen[1]?.key);
  assert.ok((seen[0]?.resets ?? 0) < (seen[1]?.resets ?? 0));
});

test('after a PCR has changed the key does not open', { skip }, async () => {
  await using device = await TpmRootOfTrust.open(first.address);
  const wrapped = await wrapFor(device, randomBytes(32));
  await device.openKey(wrapped);
  await device.extend(14, createHash('sha256').update('unexpected').digest());
  await assert.rejects(device.openKey(wrapped), withCode('tpm-policy-refused', 0x99d));
});

test('a key with a policy over other PCRs than its list says does not open', { skip }, async () => {
  await using device = await TpmRootOfTrust.open(first.address);
  const wrapped = await wrapFor(device, randomBytes(32));
  await assert.rejects(device.openKey({ ...wrapped, pcrs: [0] }), withCode('tpm-policy-refused'));
});

test('another TPM refuses the blob', { skip }, async () => {
  await using device = await TpmRootOfTrust.open(first.address);
  await using other = await TpmRootOfTrust.open(second.address);
  await assert.rejects(other.openKey(await wrapFor(device, randomBytes(32))), withCode('tpm-blob-refused'));
});

test('a blob with any part altered is refused', { skip }, async () => {
  await using device = await TpmRootOfTrust.open(first.address);
  const wrapped = await wrapFor(device, randomBytes(32));
  for (const part of ['publicArea', 'duplicate', 'encryptedSeed'] as const) {
    const bytes = Uint8Array.from(parseBase64url(wrapped[part], part));
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1;
    await assert.rejects(
      device.openKey({ ...wrapped, [part]: toBase64url(bytes) }),
      withCode('tpm-blob-refused'),
      part,
    );
  }
});

test('a blob whose policy was stripped, or that was given a password, is refused', { skip }, async () => {
  await using device = await TpmRootOfTrust.open(first.address);
  const wrapped = await wrapFor(device, randomBytes(32));
  const publicArea = parsePublic(parseBase64url(wrapped.publicArea, 'public area'));
  const stripped = { ...publicArea, authPolicy: new Uint8Array(0) };
  const passworded = { ...publicArea, attributes: publicArea.attributes | objectAttributes.userWithAuth };
  for (const altered of [stripped, passworded]) {
    const forged = { ...wrapped, publicArea: toBase64url(encodeSizedPublic(altered)) };
    await assert.rejects(device.openKey(forged), withCode('tpm-blob-refused'));
  }
});

test('a PCR policy that the approving key signed opens the key, any other does not', { skip }, async () => {
  await using device = await TpmRootOfTrust.open(first.address);
  const approver = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const approverPublic = approverArea(approver.publicKey.export({ format: 'jwk' }));
  const policyRef = createHash('sha256').update('model').digest();
  const secret = randomBytes(32);
  const wrapped = await wrapFor(device, secret, policyAuthorize(tpmName(approverPublic), policyRef));
  const approve = (policy: Uint8Array, reference: Uint8Array): TpmWrappedKey => {
    const message = policyApprovalMessage(policy, reference);
    const raw = sign('sha256', message, { key: approver.privateKey, dsaEncoding: 'ieee-p1363' });
    const signature = encodeTpmSignature({
      kind: 'ecdsa',
      hash: 'sha256',
      r: raw.subarray(0, 32),
      s: raw.subarray(32),
    });
    const approval = {
      publicArea: toBase64url(encodeSizedPublic(approverPublic)),
      policyRef: toBase64url(reference),
      signature: toBase64url(signature),
    };
    return { ...wrapped, approval };
  };
  const old = approve(await currentPolicy(device), policyRef);
  assert.equal(toHex(await device.openKey(old)), toHex(secret));
  // An update: the PCRs change, the blob stays, a new approval opens it.
  await device.extend(14, randomBytes(32));
  await assert.rejects(device.openKey(old), withCode('tpm-policy-refused'));
  assert.equal(toHex(await device.openKey(approve(await currentPolicy(device), policyRef))), toHex(secret));
  // The approval of another model does not open this one.
  const otherModel = approve(await currentPolicy(device), createHash('sha256').update('other').digest());
  await assert.rejects(device.openKey(otherModel), withCode('tpm-policy-refused'));
  const { approval: _, ...without } = old;
  await assert.rejects(device.openKey(without), withCode('tpm-policy-refused'));
});

test('sixteen operations at once neither fail nor run out of slots', { skip }, async () => {
  await using device = await TpmRootOfTrust.open(first.address);
  const secret = randomBytes(32);
  const wrapped = await wrapFor(device, secret);
  const operations = Array.from({ length: 16 }, (_, index) =>
    index % 2 === 0 ? device.attest(randomBytes(32), selection) : device.openKey(wrapped),
  );
  assert.equal((await Promise.all(operations)).length, 16);
});

test('what a killed client left loaded does not fill the TPM', { skip }, async () => {
  for (let round = 0; round < 2; round += 1) {
    {
      await using client = new TpmClient(await openTransport(first.address));
      for (let slot = 0; slot < 3; slot += 1) {
        await client.execute(createPrimary('endorsement', attestationKeyTemplate), ['password']);
      }
    }
    await using device = await TpmRootOfTrust.open(first.address, { endorsementKey: 'p-256' });
    await device.describe();
  }
});

test(
  'a TPM makes the key of each listed profile as its template says, where it knows the curve',
  { skip },
  async () => {
    await using client = new TpmClient(await openTransport(first.address));
    const made: string[] = [];
    for (const { name, template } of attestationKeyProfiles) {
      // A TPM need not know P-521, nor RSA of 3072 bits.
      const primary = await client
        .execute(createPrimary('endorsement', template), ['password'])
        .catch((error: unknown) => {
          if (error instanceof HardwareError && error.code === 'tpm-failed') return undefined;
          throw error;
        });
      if (primary === undefined) continue;
      await client.flush(primary.handle);
      assert.equal(attestationKeyProfileOf(primary.publicArea)?.name, name);
      made.push(name);
    }
    for (const name of ['edgekeep', 'google-cloud-p-256', 'google-cloud-rsa-2048', 'rsa-2048-no-da', 'p-384'])
      assert.ok(made.includes(name), name);
  },
);

test('random bytes have the length asked for and differ', { skip }, async () => {
  await using device = await TpmRootOfTrust.open(first.address);
  const [a, b] = [await device.random(100), await device.random(100)];
  assert.equal(a.length, 100);
  assert.notEqual(toHex(a), toHex(b));
});

test('no TPM at an address is an error of its own', async () => {
  const nowhere = { kind: 'unix', path: '/nonexistent/tpm.sock' } as const;
  await assert.rejects(TpmRootOfTrust.open(nowhere), withCode('tpm-unreachable'));
});

function approverArea({ x = '', y = '' }: { readonly x?: string; readonly y?: string }): EccPublic {
  return {
    kind: 'ecc',
    nameAlgorithm: 'sha256',
    attributes: objectAttributes.userWithAuth | objectAttributes.sign,
    authPolicy: parseHex('', 'none'),
    symmetric: null,
    scheme: { kind: 'ecdsa', hash: 'sha256' },
    curve: 'p256',
    x: parseBase64url(x, 'x'),
    y: parseBase64url(y, 'y'),
  };
}
