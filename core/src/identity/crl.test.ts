import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseBase64, parseHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { signerFromKey } from '../signer.ts';
import { parseCertificate } from './certificate.ts';
import { encodeCrl, encodeCrlEntry, parseCrl, verifyCrl } from './crl.ts';
import {
  parseRevocationReason,
  type RevocationReason,
  revocationReasonCodes,
  revocationReasonOf,
} from './crl-reason.ts';
import { commonNameOnly } from './distinguished-name.ts';
import { keyUsage } from './extensions.ts';
import { issueCertificate } from './issue.ts';
import { extensionOid } from './oid.ts';
import { rootProfile } from './profile.ts';
import { encodeSpki } from './public-key.ts';

const folder = new URL('../../../spec/vectors/identity/crl/', import.meta.url);
const schema = z.strictObject({
  comment: z.string(),
  outcome: z.string(),
  crl: z.string(),
  issuer: z.string().optional(),
  revoked: z.record(z.string(), z.string()).optional(),
});
const refused = (code: string) => (error: unknown) => error instanceof CoreError && error.code === code;

for (const name of readdirSync(folder)) {
  const vector = parseJson(readFileSync(new URL(name, folder)), schema, name);
  test(`revocation list vector ${name}: ${vector.comment}`, () => {
    const der = parseBase64(vector.crl, name);
    if (vector.outcome !== 'parses') {
      assert.throws(() => parseCrl(der), refused(vector.outcome));
      return;
    }
    const crl = parseCrl(der);
    const revoked = Object.fromEntries([...crl.revoked].map(([serial, { reason }]) => [serial, reason]));
    assert.deepEqual(revoked, vector.revoked);
    const issuer = parseCertificate(parseBase64(vector.issuer ?? '', name));
    assert.deepEqual(verifyCrl(crl, issuer, crl.thisUpdateSeconds), { kind: 'valid' });
    assert.equal(verifyCrl(crl, issuer, crl.nextUpdateSeconds + 1).kind, 'refused');
    assert.equal(verifyCrl(crl, issuer, crl.thisUpdateSeconds - 1).kind, 'refused');
    const signature = Uint8Array.from(crl.signature, (octet, at) => (at === 9 ? octet ^ 1 : octet));
    assert.equal(verifyCrl({ ...crl, signature }, issuer, crl.thisUpdateSeconds).kind, 'refused');
  });
}

const authority = async (name: string) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = signerFromKey(privateKey);
  const input = {
    spki: encodeSpki(publicKey),
    serialRandom: new Uint8Array(16),
    notBeforeSeconds: 0,
    notAfterSeconds: 4e9,
  };
  return { signer, issuer: parseCertificate(await issueCertificate(rootProfile(input, commonNameOnly(name)), signer)) };
};
const { signer, issuer } = await authority('Issuing');
const reasons = Object.keys(revocationReasonCodes).flatMap((name) => parseRevocationReason(name) ?? []);

test('every reason has one name and one number', () => {
  assert.equal(reasons.length, 10);
  for (const reason of reasons) assert.equal(revocationReasonOf(revocationReasonCodes[reason]), reason);
  assert.equal(revocationReasonOf(7), undefined);
  assert.equal(parseRevocationReason('constructor'), undefined);
});

const anyEntry = fc.record(
  {
    serial: fc.bigInt({ min: 1n, max: 2n ** 158n }).map((value) => value.toString(16)),
    revokedAtSeconds: fc.integer({ min: 0, max: 4_000_000_000 }),
    reason: fc.constantFrom<RevocationReason>(...reasons),
  },
  { noNullPrototype: true },
);

test('a list that was made parses into what it was made of, and verifies under its issuer alone', async () => {
  const other = await authority('Issuing');
  const lists = fc.uniqueArray(anyEntry, { maxLength: 30, selector: ({ serial }) => serial });
  await fc.assert(
    fc.asyncProperty(lists, fc.integer({ min: 0, max: 2 ** 40 }), async (list, number) => {
      const entries = list.map((entry) => {
        const serial = parseHex(entry.serial.padStart(entry.serial.length + (entry.serial.length % 2), '0'), 'serial');
        return encodeCrlEntry({ ...entry, serial });
      });
      const template = { issuer, number, thisUpdateSeconds: 1_000, nextUpdateSeconds: 2_000, entries };
      const crl = parseCrl(await encodeCrl(template, signer));
      assert.deepEqual(
        [...crl.revoked].map(([serial, { revokedAtSeconds, reason }]) => ({ serial, revokedAtSeconds, reason })),
        list,
      );
      assert.equal(BigInt(`0x${Buffer.from(crl.number).toString('hex')}`), BigInt(number));
      assert.deepEqual(verifyCrl(crl, issuer, 1_500), { kind: 'valid' });
      assert.equal(verifyCrl(crl, other.issuer, 1_500).kind, 'refused');
    }),
    { numRuns: 100 },
  );
});

test('a list speaks for its own issuer only: its name, its key and its right to sign lists', async () => {
  const template = { issuer, number: 1, thisUpdateSeconds: 1_000, nextUpdateSeconds: 2_000, entries: [] };
  const crl = parseCrl(await encodeCrl(template, signer));
  const input = { spki: issuer.spki, serialRandom: new Uint8Array(16), notBeforeSeconds: 0, notAfterSeconds: 4e9 };
  const made = rootProfile(input, commonNameOnly('Another'));
  const renamed = parseCertificate(await issueCertificate(made, signer));
  const extensions = made.extensions.map((each) =>
    each.oid === extensionOid.keyUsage ? keyUsage('keyCertSign') : each,
  );
  const silent = { ...made, subject: issuer.subject, issuer: issuer.subject, extensions };
  const mute = parseCertificate(await issueCertificate(silent, signer));
  const { extensions: own } = issuer;
  const otherKey = { ...issuer, extensions: { ...own, subjectKeyIdentifier: new Uint8Array(20) } };
  for (const [wrong, reason] of [
    [renamed, 'the list is of another issuer'],
    [otherKey, 'the list names another key'],
    [mute, 'the issuer may not sign lists'],
  ] as const)
    assert.deepEqual(verifyCrl(crl, wrong, 1_500), { kind: 'refused', reasons: [reason] });
  assert.deepEqual(verifyCrl(crl, issuer, 2_001), { kind: 'refused', reasons: ['the list has expired'] });
  assert.deepEqual(verifyCrl(crl, issuer, 999), { kind: 'refused', reasons: ['the list is from the future'] });
});

test('a list that would end before it begins is not made', async () => {
  const template = { issuer, number: 1, thisUpdateSeconds: 10, nextUpdateSeconds: 10, entries: [] };
  await assert.rejects(encodeCrl(template, signer), refused('crl-invalid'));
});

const valid = parseBase64(parseJson(readFileSync(new URL('valid.json', folder)), schema, 'valid').crl, 'valid');

test('a list with octets changed, cut or put in throws only crl-invalid, or no longer verifies', () => {
  const vector = parseJson(readFileSync(new URL('valid.json', folder)), schema, 'valid');
  const own = parseCertificate(parseBase64(vector.issuer ?? '', 'issuer'));
  const edit = fc.record({ at: fc.nat(valid.length - 1), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) });
  fc.assert(
    fc.property(edit, ({ at, remove, insert }) => {
      const bytes = Uint8Array.from([...valid].toSpliced(at, remove, ...insert));
      if (Buffer.compare(bytes, valid) === 0) return;
      try {
        const crl = parseCrl(bytes);
        assert.equal(verifyCrl(crl, own, crl.thisUpdateSeconds).kind, 'refused');
      } catch (error) {
        assert.ok(refused('crl-invalid')(error), String(error));
      }
    }),
    { numRuns: 3_000 },
  );
});

test('octets at random throw only crl-invalid', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.throws(() => parseCrl(bytes), refused('crl-invalid'));
    }),
  );
});
