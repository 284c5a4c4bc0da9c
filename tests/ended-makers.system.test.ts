// TPMs outlive the CAs that certified them: a setting chooses the time at which a path is judged, and the device's tier shows that choice
// (spec/vendor-roots.md, "Judging").
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { verifyAttestationResult } from '@edgekeep/core/attest/ear';
import { toBase64, toBase64url } from '@edgekeep/core/bytes';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { commonNameOnly, encodeName } from '@edgekeep/core/identity/distinguished-name';
import {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  subjectAltName,
} from '@edgekeep/core/identity/extensions';
import { attributeOid, keyPurposeOid } from '@edgekeep/core/identity/oid';
import { encodePem } from '@edgekeep/core/identity/pem';
import { encodeSpki, keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { issueTo, type TestAuthority, testIssuing, testRoot } from '@edgekeep/core/identity/testing-roots';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import { testSimulators } from '@edgekeep/hardware/tpm/testing';
import { attestResponse } from '@edgekeep/wire/api/attest';
import { vendorRootImported } from '@edgekeep/wire/api/vendor-root';
import { accepted, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestDevice } from './support/test-device.ts';
import { skipWithoutTpm } from './support/tpm-world.ts';

const day = 86_400;
const years = 365 * day;
const now = Math.floor(Date.now() / 1_000);

/** A maker whose CA ended ten days ago, under a root that is still valid. */
async function makerThatEnded() {
  const root = await testRoot({ notBeforeSeconds: now - 12 * years, notAfterSeconds: now + 20 * years }, 'Maker root');
  const issuing = await testIssuing(root, { notBeforeSeconds: now - 10 * years, notAfterSeconds: now - 10 * day });
  return { root, issuing };
}

/** An endorsement certificate as the TCG's profile has it, for the RSA key of a TPM. */
async function endorse(device: TestDevice, issuer: TestAuthority, notBeforeSeconds: number): Promise<Certificate> {
  const described = await device.rootOfTrust.describe();
  assert.ok(described.tier === 'tpm');
  const { publicArea, kind } = described.endorsementKey;
  const text = (oid: string, value: string) => ({ oid, text: value });
  const tpm = encodeName([
    text(attributeOid.tpmManufacturer, 'id:49424D00'),
    text(attributeOid.tpmModel, 'swtpm'),
    text(attributeOid.tpmVersion, 'id:20191023'),
  ]);
  const template = {
    spki: encodeSpki(publicKeyOf(parsePublic(publicArea))),
    serialRandom: randomBytes(16),
    notBeforeSeconds,
    notAfterSeconds: now + 15 * years,
    issuer: issuer.certificate.subject,
    subject: commonNameOnly('EK'),
    extensions: [
      basicConstraints(false),
      keyUsage(kind.startsWith('rsa') ? 'keyEncipherment' : 'keyAgreement'),
      extendedKeyUsage(keyPurposeOid.tcgEndorsementKey),
      subjectAltName([{ kind: 'directory', name: tpm }]),
      authorityKeyIdentifier(keyIdentifierOf(issuer.certificate.spki)),
    ],
  };
  return issueTo(template, issuer.signer);
}

// SECURITY.md: DEV-07
test(
  'a path whose CA has ended is refused by default, and judged at issuance it is taken with a reason in registry and result',
  {
    skip: skipWithoutTpm,
  },
  async () => {
    await using simulators = await testSimulators();
    const { root, issuing } = await makerThatEnded();
    const vendorRoots = [root, issuing].map(({ certificate }) => encodePem('CERTIFICATE', certificate.der));
    await using device = await TestDevice.withTpm('old-tpm', await simulators.start('old'));
    const shown = await endorse(device, issuing, now - 2 * years);
    const changes = {
      start: (honest: { identity: object }) => ({ ...honest, identity: withCertificate(honest, shown) }),
    };

    {
      await using world = await HubWorld.open({ vendorRoots });
      const token = await world.enrollmentToken({ deviceId: 'old-tpm' });
      const answer = await device.tryEnroll(world, token, changes);
      assertRefused(answer, { status: 403, code: 'enrollment-refused', reason: 'endorsement-refused' });
      assert.match(Buffer.from(answer.body).toString(), /expired at/);
    }

    const settings = { vendorRoots: { endorsementJudgedAt: 'issuance' } };
    await using world = await HubWorld.open({ vendorRoots, settings });
    // Makers have dozens of CAs besides the needed one.
    const period = { notBeforeSeconds: now - day, notAfterSeconds: now + years };
    const others = await Promise.all(Array.from({ length: 100 }, () => testIssuing(root, period)));
    const certificates = others.map(({ certificate }) => toBase64(certificate.der));
    const imported = await world.operator.send(
      'POST',
      '/v1/vendor-roots',
      { kind: 'tpm', certificates },
      vendorRootImported,
    );
    assert.equal(imported.added, 100);
    await device.enroll(world, changes);
    const { makers } = await world.device('old-tpm');
    const [maker] = makers;
    assert.equal(maker?.judgedAt, (now - 2 * years) * 1_000);
    assert.match(maker?.notes.join() ?? '', /"CN=Test issuing CA" expired at .*; the chain is judged at /);
    const { attestationResult } = await resultOf(device, world);
    const [key] = (await world.trust()).attestationKeys;
    assert.ok(key !== undefined);
    const window = { nowSeconds: Math.floor(world.clock.now() / 1_000), maxAgeSeconds: 60, maxSkewSeconds: 60 };
    const verdict = verifyAttestationResult(attestationResult, key.publicKey, window);
    assert.ok(verdict.kind === 'verified');
    assert.deepEqual(verdict.result.tierReasons, maker?.notes);
  },
);

// SECURITY.md: DEV-07
test(
  'an endorsement certificate that was dated to a time to come, or has ended itself, is refused at any judging',
  {
    skip: skipWithoutTpm,
  },
  async () => {
    await using simulators = await testSimulators();
    const { root, issuing } = await makerThatEnded();
    const vendorRoots = [root, issuing].map(({ certificate }) => encodePem('CERTIFICATE', certificate.der));
    await using device = await TestDevice.withTpm('dated', await simulators.start('dated'));
    const settings = { vendorRoots: { endorsementJudgedAt: 'issuance' } };
    await using world = await HubWorld.open({ vendorRoots, settings });
    // Certified after the CA's end: the maker was no longer allowed to use the key.
    for (const notBefore of [now + day, now - day]) {
      const shown = await endorse(device, issuing, notBefore);
      const changes = {
        start: (honest: { identity: object }) => ({ ...honest, identity: withCertificate(honest, shown) }),
      };
      const answer = await device.tryEnroll(world, await world.enrollmentToken({ deviceId: 'dated' }), changes);
      assertRefused(answer, { status: 403, code: 'enrollment-refused', reason: 'endorsement-refused' });
    }
  },
);

function withCertificate({ identity }: { identity: object }, { der }: Certificate): object {
  return { ...identity, endorsementCertificates: [toBase64url(der)] };
}

async function resultOf(device: TestDevice, world: HubWorld) {
  await using link = await device.connect(world.hub);
  return accepted(await device.attest(link), attestResponse);
}
