import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { signerFromKey } from '../signer.ts';
import { parseCertificate } from './certificate.ts';
import { deviceIdOf, deviceUri } from './device-id.ts';
import { commonNameOnly } from './distinguished-name.ts';
import { basicConstraints, extendedKeyUsage, keyUsage, subjectAltName } from './extensions.ts';
import { issueCertificate } from './issue.ts';
import { keyPurposeOid } from './oid.ts';
import { deviceProfile, rootProfile, workloadProfile } from './profile.ts';
import { encodeSpki } from './public-key.ts';
import { parseSpiffeId, parseWorkloadSpiffeId, workloadSpiffeId } from './spiffe-id.ts';
import { claimsSpiffeId, spiffeIdOf, workloadOf } from './svid.ts';
import { anyCharacter } from '../testing-text.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/identity/spiffe-id');
const vectorSchema = z.strictObject({
  comment: z.string(),
  text: z.string(),
  /** The workload; `spiffe-id` for one that is not ours; `invalid`. */
  outcome: z.union([
    z.strictObject({ trustDomain: z.string(), deviceId: z.string(), workload: z.string() }),
    z.enum(['spiffe-id', 'invalid']),
  ]),
});
const invalid = { code: 'certificate-invalid' };

for (const name of readdirSync(folder)) {
  const { comment, text, outcome } = parseJson(readFileSync(join(folder, name)), vectorSchema, name);
  test(`${name}: ${comment}`, () => {
    if (outcome === 'invalid') assert.throws(() => parseSpiffeId(text), invalid);
    else parseSpiffeId(text);
    if (typeof outcome === 'string') assert.throws(() => parseWorkloadSpiffeId(text), invalid);
    else {
      assert.deepEqual(parseWorkloadSpiffeId(text), outcome);
      assert.equal(workloadSpiffeId(outcome), text);
    }
  });
}

test('any text is a SPIFFE ID or a named error', () => {
  const text = fc.oneof(
    fc.string({ unit: anyCharacter }),
    fc.string().map((rest) => `spiffe://plant.example/${rest}`),
  );
  fc.assert(
    fc.property(text, (each) => {
      try {
        parseWorkloadSpiffeId(each);
      } catch (error) {
        assert.ok(error instanceof CoreError);
      }
    }),
  );
});

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const signer = signerFromKey(privateKey);
const input = {
  spki: encodeSpki(publicKey),
  serialRandom: new Uint8Array(16).fill(7),
  notBeforeSeconds: 1_800_000_000,
  notAfterSeconds: 1_800_014_400,
};
const root = parseCertificate(await issueCertificate(rootProfile(input, commonNameOnly('root')), signer));
const id = { trustDomain: 'plant.example', deviceId: 'press-7', workload: 'vision' };
const svid = workloadProfile(input, root, id);
const uri = (text: string) => ({ kind: 'uri', text }) as const;
const issue = async (extensions: typeof svid.extensions) =>
  parseCertificate(await issueCertificate({ ...svid, extensions }, signer));

test('a certificate of the profile names its workload, and no device', async () => {
  const certificate = await issue(svid.extensions);
  assert.deepEqual(workloadOf(certificate), id);
  assert.ok(claimsSpiffeId(certificate));
  assert.throws(() => deviceIdOf(certificate), invalid);
});

// SECURITY.md: HUB-02
test('a certificate of a device names no workload, and one with a SPIFFE ID beside its own no device', async () => {
  const device = parseCertificate(await issueCertificate(deviceProfile(input, root, 'press-7'), signer));
  assert.equal(claimsSpiffeId(device), false);
  assert.throws(() => workloadOf(device), invalid);
  const template = deviceProfile(input, root, 'press-7');
  const both = subjectAltName([uri(deviceUri('press-7')), uri(workloadSpiffeId(id))]);
  const extensions = template.extensions.map((each) => (each.oid === both.oid ? both : each));
  const mixed = parseCertificate(await issueCertificate({ ...template, extensions }, signer));
  assert.throws(() => deviceIdOf(mixed), invalid);
  assert.throws(() => workloadOf(mixed), invalid);
});

test('a leaf that breaks a rule of X.509-SVID is refused', async () => {
  const name = subjectAltName([uri(workloadSpiffeId(id))]);
  const signs = keyUsage('digitalSignature');
  const purposes = extendedKeyUsage(keyPurposeOid.serverAuth, keyPurposeOid.clientAuth);
  assert.deepEqual(workloadOf(await issue([basicConstraints(false), signs, purposes, name])), id);
  for (const [why, extensions] of [
    ['an authority', [basicConstraints(true), signs, purposes, name]],
    ['no key usage', [purposes, name]],
    ['a key usage that is not critical', [{ ...signs, critical: false }, purposes, name]],
    ['a key that signs certificates', [keyUsage('digitalSignature', 'keyCertSign'), purposes, name]],
    ['a key that signs lists', [keyUsage('digitalSignature', 'cRLSign'), purposes, name]],
    ['no digital signature', [keyUsage('keyAgreement'), purposes, name]],
    ['one end of TLS', [signs, extendedKeyUsage(keyPurposeOid.clientAuth), name]],
    ['no name', [signs, purposes]],
    ['two ids', [signs, purposes, subjectAltName([uri(workloadSpiffeId(id)), uri('spiffe://plant.example/x')])]],
    ['another URI beside it', [signs, purposes, subjectAltName([uri(workloadSpiffeId(id)), uri('https://x.example')])]],
    ['the trust domain alone', [signs, purposes, subjectAltName([uri('spiffe://plant.example')])]],
  ] as const) {
    const certificate = await issue(extensions);
    assert.throws(() => spiffeIdOf(certificate), invalid, why);
  }
});
