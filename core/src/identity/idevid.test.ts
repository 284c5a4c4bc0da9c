import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseBase64, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { parseCertificate } from './certificate.ts';
import { attributeText, encodeName, nameText } from './distinguished-name.ts';
import { hardwareModuleGeneralName, hardwareModuleNamesIn } from './hardware-module-name.ts';
import { idevidProfile, validateIdevid } from './idevid.ts';
import { attributeOid } from './oid.ts';
import { encodeSpki } from './public-key.ts';
import { newSigner, parseIdevid, testHardwareType, testManufacturer } from './testing-manufacturer.ts';

const folder = new URL('../../../spec/vectors/identity/idevid/', import.meta.url);
const schema = z.strictObject({
  comment: z.string(),
  outcome: z.union([z.literal('valid'), z.array(z.string())]),
  leaf: z.string(),
  intermediates: z.array(z.string()),
  anchors: z.array(z.string()),
  atSeconds: z.number(),
});

for (const name of readdirSync(folder)) {
  const vector = parseJson(readFileSync(new URL(name, folder)), schema, name);
  const read = (text: string) => parseCertificate(parseBase64(text, name));
  test(`IDevID vector ${name}: ${vector.comment}`, () => {
    const { atSeconds } = vector;
    const intermediates = vector.intermediates.map(read);
    const anchors = vector.anchors.map(read);
    const verdict = validateIdevid({ leaf: read(vector.leaf), intermediates, anchors, atSeconds });
    const found = verdict.kind === 'valid' ? 'valid' : [...new Set(verdict.reasons.map(({ code }) => code))];
    assert.deepEqual(found, vector.outcome);
  });
}

const invalid = (error: unknown) => error instanceof CoreError && error.code === 'certificate-invalid';
const newKey = () => encodeSpki(newSigner().publicKey);

test('an issued IDevID says what it was issued for, and has no end', async () => {
  const manufacturer = await testManufacturer();
  const [leaf] = await manufacturer.issue(newKey(), { serialNumber: 'SN-1', product: 'Press camera' });
  const { certificate, serialNumber, hardwareType, hardwareSerial } = parseIdevid(leaf);
  assert.deepEqual([serialNumber, hardwareType, hardwareSerial], ['SN-1', testHardwareType, 'SN-1']);
  assert.equal(certificate.notAfterSeconds, Date.UTC(9999, 11, 31, 23, 59, 59) / 1_000);
  assert.ok(Buffer.from(leaf).includes(Buffer.from('99991231235959Z')));
  assert.equal(nameText(certificate.subject), 'O=Example Works,CN=Press camera,serialNumber=SN-1');
  // RFC 5280 appendix A.1: PrintableString.
  assert.ok(Buffer.from(leaf).includes(Buffer.from([0x13, 4, ...utf8('SN-1')])));
});

test('an IDevID says that it is one of a TPM only where that was verified, and policies nobody can read refuse it', async () => {
  const manufacturer = await testManufacturer();
  const [verified] = await manufacturer.issue(newKey(), { inVerifiedTpm: true });
  const [taken] = await manufacturer.issue(newKey(), {});
  assert.deepEqual([parseIdevid(verified).inTpm, parseIdevid(taken).inTpm], [true, false]);
  const broken = { oid: '2.5.29.32', critical: false, value: utf8('no policies') };
  const [spoilt] = await manufacturer.issue(newKey(), {}, (template) => ({
    ...template,
    extensions: [...template.extensions, broken],
  }));
  assert.throws(() => parseIdevid(spoilt), invalid);
});

test('a serial number that a name or a file could not hold is not issued', async () => {
  const { issuing } = await testManufacturer();
  const input = { spki: newKey(), serialRandom: new Uint8Array(16), notBeforeSeconds: 0 };
  for (const serialNumber of ['', '.', '../a', 'a b', 'ä', 'a'.repeat(65), 'a\n']) {
    assert.throws(() => idevidProfile(input, issuing, { serialNumber, hardwareType: testHardwareType }), invalid);
  }
});

test('an authority for servers only issues no IDevID', async () => {
  const manufacturer = await testManufacturer();
  const [leaf] = await manufacturer.issue(newKey(), {});
  const parsed = parseCertificate(leaf);
  const narrow = {
    ...manufacturer.issuing,
    extensions: { ...manufacturer.issuing.extensions, extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] },
  };
  const at = { atSeconds: 1_795_000_000, anchors: [narrow], intermediates: [] };
  const verdict = validateIdevid({ leaf: parsed, ...at });
  assert.ok(verdict.kind === 'refused');
  assert.deepEqual(
    verdict.reasons.map(({ code }) => code),
    ['idevid-purpose'],
  );
});

test('a hardware module name comes back as it was written', () => {
  const oid = fc
    .tuple(fc.nat(39), fc.array(fc.nat(), { maxLength: 5 }))
    .map(([second, rest]) => ['1', second, ...rest].join('.'));
  fc.assert(
    fc.property(oid, fc.uint8Array({ minLength: 1, maxLength: 64 }), (type, serialNumber) => {
      const [found] = hardwareModuleNamesIn([hardwareModuleGeneralName({ type, serialNumber })]);
      assert.deepEqual(found, { type, serialNumber: found?.serialNumber });
      assert.deepEqual(Buffer.from(found?.serialNumber ?? []), Buffer.from(serialNumber));
    }),
  );
});

test('a hardware module name of any octets is read or refused by name', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (value) => {
      try {
        hardwareModuleNamesIn([{ kind: 'other', oid: '1.3.6.1.5.5.7.8.4', value }]);
      } catch (error) {
        assert.ok(invalid(error), String(error));
      }
    }),
  );
});

test('a name with a serial number that PrintableString does not have is not written', () => {
  const name = (text: string) => encodeName([{ oid: attributeOid.serialNumber, text }]);
  assert.equal(attributeText(name('A-1'), attributeOid.serialNumber), 'A-1');
  assert.throws(
    () => name('A_1'),
    (error) => error instanceof CoreError && error.code === 'der-invalid',
  );
});
