import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseBase64, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { signerFromKey } from '../signer.ts';
import { type Certificate, parseCertificate, serialText } from './certificate.ts';
import { deviceIdOf, deviceUri, isDeviceId } from './device-id.ts';
import { attributeText, commonNameOnly, encodeName, equalNames, nameText } from './distinguished-name.ts';
import { parseIpAddress } from './general-name.ts';
import { issueCertificate, serialFrom } from './issue.ts';
import { attributeOid } from './oid.ts';
import { validatePath } from './path.ts';
import { encodePem, parsePem } from './pem.ts';
import { deviceProfile, issuingAuthorityProfile, rootProfile, serverProfile } from './profile.ts';
import { encodeSpki } from './public-key.ts';

const folder = new URL('../../../spec/vectors/identity/certificates/', import.meta.url);
const schema = z.strictObject({ comment: z.string(), outcome: z.string(), certificate: z.string() });
const refused = (code: string) => (error: unknown) => error instanceof CoreError && error.code === code;

for (const name of readdirSync(folder)) {
  const vector = parseJson(readFileSync(new URL(name, folder)), schema, name);
  const der = parseBase64(vector.certificate, name);
  test(`certificate vector ${name}: ${vector.comment}`, () => {
    if (vector.outcome === 'parses') assert.equal(toHex(parseCertificate(der).der), toHex(der));
    else assert.throws(() => parseCertificate(der), refused(vector.outcome));
  });
}

const valid = parseJson(readFileSync(new URL('valid.json', folder)), schema, 'valid');
const validDer = parseBase64(valid.certificate, 'valid');

test('a certificate with bytes changed, cut or repeated throws only certificate-invalid', () => {
  const edit = fc.record({
    at: fc.nat(validDer.length - 1),
    remove: fc.nat(4),
    insert: fc.uint8Array({ maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      let bytes = [...validDer];
      for (const { at, remove, insert } of edits) bytes = bytes.toSpliced(at, remove, ...insert);
      try {
        parseCertificate(Uint8Array.from(bytes));
      } catch (error) {
        assert.ok(refused('certificate-invalid')(error), String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

const key = (curve: 'P-256' | 'P-384') => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve });
  const random = Uint8Array.from({ length: 16 }, (_, at) => at * 17);
  const input = {
    spki: encodeSpki(publicKey),
    serialRandom: random,
    notBeforeSeconds: 1000,
    notAfterSeconds: 2_000_000,
  };
  return { input, signer: signerFromKey(privateKey) };
};

const [root, issuing, server, device] = [key('P-384'), key('P-256'), key('P-256'), key('P-256')];
const issued = async (...given: Parameters<typeof issueCertificate>) =>
  parseCertificate(await issueCertificate(...given));
const rootCertificate = await issued(rootProfile(root.input, commonNameOnly('Root')), root.signer);
const issuingTemplate = issuingAuthorityProfile(issuing.input, rootCertificate, commonNameOnly('Issuing'));
const issuingCertificate = await issued(issuingTemplate, root.signer);
const names = { dnsNames: ['hub.example.com'], ipAddresses: ['127.0.0.1', '::1'] };
const serverCertificate = await issued(serverProfile(server.input, issuingCertificate, names), issuing.signer);
const deviceCertificate = await issued(deviceProfile(device.input, issuingCertificate, 'pump-7'), issuing.signer);

function validated(leaf: Certificate, purpose: 'tls-client' | 'tls-server') {
  const input = { leaf, intermediates: [issuingCertificate], anchors: [rootCertificate], atSeconds: 5000, purpose };
  return validatePath(input).kind;
}

test('what the profiles issue validates for its own purpose and for no other', () => {
  assert.equal(validated(deviceCertificate, 'tls-client'), 'valid');
  assert.equal(validated(deviceCertificate, 'tls-server'), 'refused');
  assert.equal(validated(serverCertificate, 'tls-server'), 'valid');
  assert.equal(validated(serverCertificate, 'tls-client'), 'refused');
  assert.equal(validated(issuingCertificate, 'tls-client'), 'refused');
});

test('an issued certificate holds what its template said', () => {
  assert.equal(deviceIdOf(deviceCertificate), 'pump-7');
  assert.equal(deviceCertificate.notBeforeSeconds, 1000);
  assert.equal(deviceCertificate.notAfterSeconds, 2_000_000);
  assert.deepEqual(issuingCertificate.extensions.basicConstraints, { authority: true, pathLength: 0 });
  assert.deepEqual(rootCertificate.extensions.keyUsage, ['keyCertSign', 'cRLSign']);
  const ips = serverCertificate.extensions.subjectAltName?.names.flatMap((name) =>
    name.kind === 'ip' ? [name.bytes] : [],
  );
  assert.deepEqual(ips?.map(toHex), ['7f000001', '00000000000000000000000000000001']);
});

test('a serial number is 16 octets and positive for all random octets', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (random) => {
      const serial = serialFrom(random);
      assert.equal(serial.length, 16);
      assert.ok((serial[0] ?? 0) >= 0x40 && (serial[0] ?? 0) < 0x80);
    }),
  );
  assert.throws(() => serialFrom(new Uint8Array(15)), refused('certificate-invalid'));
  assert.equal(serialText(deviceCertificate), '40112233445566778899aabbccddeeff');
});

test('a certificate that would end before it begins is not issued', async () => {
  const template = { ...deviceProfile(device.input, issuingCertificate, 'pump-7'), notAfterSeconds: 999 };
  await assert.rejects(issueCertificate(template, issuing.signer), refused('certificate-invalid'));
});

test('a device id is checked before it is written, and must be the same in all fields', async () => {
  for (const text of ['', 'Pump', '-a', 'a/b', 'a'.repeat(64), 'a\n', 'ä']) assert.ok(!isDeviceId(text), text);
  assert.throws(() => deviceUri('Pump'), refused('encoding-invalid'));
  const template = { ...deviceProfile(device.input, issuingCertificate, 'pump-7'), subject: commonNameOnly('pump-8') };
  const mixed = await issued(template, issuing.signer);
  assert.throws(() => deviceIdOf(mixed), refused('certificate-invalid'));
  assert.throws(() => deviceIdOf(serverCertificate), refused('certificate-invalid'));
});

test('names compare without case and white space, and differ otherwise', () => {
  const name = (text: string) => commonNameOnly(text);
  assert.ok(equalNames(name('Vendor  Root '), name('vendor root')));
  assert.ok(!equalNames(name('vendor root'), name('vendor roots')));
  assert.ok(!equalNames(name('a'), encodeName([{ oid: attributeOid.organization, text: 'a' }])));
});

test('a name cannot forge a line or another attribute in its text', () => {
  const forged = nameText(commonNameOnly('x,O=Edgekeep\nreleased \u202e'));
  assert.match(forged, /^CN=[\x20-\x7e]*$/);
  assert.ok(!forged.includes(',') && !forged.includes('\n'));
  assert.equal(attributeText(deviceCertificate.subject, attributeOid.commonName), 'pump-7');
});

test('IP addresses are read in every spelling, and nothing else is', () => {
  assert.equal(toHex(parseIpAddress('fd00::1:2')), 'fd000000000000000000000000010002');
  assert.equal(toHex(parseIpAddress('::ffff:1.2.3.4')), '00000000000000000000ffff01020304');
  assert.equal(toHex(parseIpAddress('1:2:3:4:5:6:7:8')), '00010002000300040005000600070008');
  for (const text of ['', '1.2.3', '256.1.1.1', 'fe80::1%eth0', '::g', 'localhost']) {
    assert.throws(() => parseIpAddress(text), refused('encoding-invalid'), text);
  }
});

test('PEM reads back, and what is broken is refused', () => {
  const pem = encodePem('CERTIFICATE', validDer);
  assert.deepEqual(parsePem(`a comment\n${pem}\n${pem}`, 'CERTIFICATE').map(toHex), [toHex(validDer), toHex(validDer)]);
  const broken = ['', pem.slice(0, -10), pem.replace('\n', '\n*'), pem.replaceAll('CERTIFICATE', 'PRIVATE KEY')];
  for (const text of broken) assert.throws(() => parsePem(text, 'CERTIFICATE'), refused('encoding-invalid'));
});
