// The foreign profile under mutation, and the time at which another issuer's chain is judged.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DerReader, derOctetString, derSequence, derTag, derTime, derValue } from '../der.ts';
import { CoreError } from '../error.ts';
import { type Certificate, parseForeignCertificate, publicKeyOf, serialText } from './certificate.ts';
import { readCertificateFile } from './certificate-file.ts';
import { validateEndorsement } from './endorsement.ts';
import { encodeName } from './distinguished-name.ts';
import { basicConstraints, extendedKeyUsage, keyUsage, subjectAltName } from './extensions.ts';
import { attributeOid, keyPurposeOid } from './oid.ts';
import { validatePath } from './path.ts';
import {
  authorityExtensions,
  encodeExtension,
  foreignCertificate,
  foreignNowSeconds,
  foreignRoot,
  leafExtensions,
  nameOf,
} from './testing-foreign.ts';

const intermediate = foreignCertificate({ subject: nameOf('intermediate'), extensions: authorityExtensions });
const leaf = foreignCertificate({ issuer: nameOf('intermediate'), extensions: leafExtensions });
const anchors = [parseForeignCertificate(foreignRoot)];

const isCertificateInvalid = (error: unknown) => error instanceof CoreError && error.code === 'certificate-invalid';

function parsedOrNothing(der: Uint8Array): Certificate | undefined {
  try {
    return parseForeignCertificate(der);
  } catch (error) {
    assert.ok(isCertificateInvalid(error), String(error));
    return undefined;
  }
}

// SECURITY.md: DEV-03
test('no bit of a foreign chain can change without a refusal', () => {
  for (const which of ['leaf', 'intermediate'] as const) {
    const original = which === 'leaf' ? leaf : intermediate;
    for (let bit = 0; bit < original.length * 8; bit++) {
      const changed = Uint8Array.from(original);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const certificate = parsedOrNothing(changed);
      if (certificate === undefined) continue;
      const other = parsedOrNothing(which === 'leaf' ? intermediate : leaf);
      assert.ok(other !== undefined);
      const [first, second] = which === 'leaf' ? [certificate, other] : [other, certificate];
      const path = { leaf: first, intermediates: [second], anchors, atSeconds: foreignNowSeconds };
      assert.equal(validatePath({ ...path, purpose: 'any' }).kind, 'refused', `${which} bit ${bit}`);
    }
  }
});

test('a foreign certificate with bytes changed, cut or repeated throws only certificate-invalid, and its key only key-invalid', () => {
  const edit = fc.record({ at: fc.nat(leaf.length - 1), remove: fc.nat(4), insert: fc.uint8Array({ maxLength: 4 }) });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      let bytes = [...leaf];
      for (const { at, remove, insert } of edits) bytes = bytes.toSpliced(at, remove, ...insert);
      const certificate = parsedOrNothing(Uint8Array.from(bytes));
      if (certificate === undefined) return;
      try {
        publicKeyOf(certificate);
      } catch (error) {
        assert.ok(error instanceof CoreError && error.code === 'key-invalid', String(error));
      }
    }),
    { numRuns: 4000 },
  );
});

test('random bytes never make a file of certificates or a foreign reader throw anything of its own', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom([], [0x30, 0x80], [0x30, 0x82]), (tail, head) => {
      const bytes = Uint8Array.from([...head, ...tail]);
      readCertificateFile(bytes, 'random');
      const reader = new DerReader(bytes, 'random', 'foreign');
      try {
        while (!reader.done) reader.into(reader.any()).boolean();
      } catch (error) {
        assert.ok(error instanceof CoreError && error.code === 'der-invalid', String(error));
      }
    }),
    { numRuns: 4000 },
  );
});

test('values of indefinite length within each other end at the limit of depth', () => {
  const deep = Buffer.concat(Array.from({ length: 10_000 }, () => Uint8Array.of(0x30, 0x80)));
  assert.throws(() => new DerReader(deep, 'deep', 'foreign').any(), { code: 'der-invalid', message: /nested deeper/ });
});

test('what no signature covers has one form: another length octet or another algorithm outside is refused', () => {
  const { content } = new DerReader(leaf, 'leaf').any();
  const padded = Buffer.concat([Uint8Array.of(0x30, 0x83, 0, content.length >> 8, content.length & 0xff), content]);
  assert.throws(() => parseForeignCertificate(padded), isCertificateInvalid);
  assert.throws(() => parseForeignCertificate(Buffer.concat([leaf, Uint8Array.of(0)])), isCertificateInvalid);
});

test('one serial number has one text, also zero and negative ones', () => {
  const textOf = (...octets: readonly number[]) => {
    const serial = derValue(derTag.integer, Uint8Array.from(octets));
    return serialText(parseForeignCertificate(foreignCertificate({ serial })));
  };
  assert.deepEqual([textOf(0), textOf(1), textOf(0, 0xff), textOf(0xff), textOf(0x80)], ['0', '1', 'ff', '-1', '-80']);
});

test('a certificate that cannot be read is named by file, serial number and names, as far as they could be read', () => {
  const broken = foreignCertificate({ extensions: [derSequence(derOctetString(new Uint8Array(2)))] });
  assert.throws(() => parseForeignCertificate(broken, 'vendor-roots/maker.pem'), {
    message: /^vendor-roots\/maker\.pem: the certificate of CN=leaf with serial number 7 by CN=root: /,
  });
});

// An authority that has ended, and below it an endorsement certificate from its time.
const day = 86_400;
const ended = foreignNowSeconds - 10 * day;
const maker = parseForeignCertificate(
  foreignCertificate({ subject: nameOf('maker'), notAfter: derTime(ended), extensions: authorityExtensions }),
);

function endorsement(notBefore: number, notAfter = foreignNowSeconds + 1_000 * day): Certificate {
  const tpm = encodeName([
    { oid: attributeOid.tpmManufacturer, text: 'id:49465800' },
    { oid: attributeOid.tpmModel, text: 'SLB9670' },
    { oid: attributeOid.tpmVersion, text: 'id:00070055' },
  ]);
  const extensions = [
    basicConstraints(false),
    keyUsage('keyAgreement'),
    extendedKeyUsage(keyPurposeOid.tcgEndorsementKey),
    subjectAltName([{ kind: 'directory', name: tpm }], true),
  ];
  return parseForeignCertificate(
    foreignCertificate({
      issuer: nameOf('maker'),
      subject: derSequence(),
      notBefore: derTime(notBefore),
      notAfter: derTime(notAfter),
      extensions: extensions.map(encodeExtension),
    }),
  );
}

const judge = (certificate: Certificate, judgedAt: 'now' | 'issuance') =>
  validateEndorsement({ leaf: certificate, intermediates: [maker], anchors, atSeconds: foreignNowSeconds, judgedAt });

test('an endorsement certificate outlives its authority: refused now, valid at its issuance, and the notes name the authority that ended', () => {
  const certificate = endorsement(ended - day);
  const now = judge(certificate, 'now');
  assert.ok(now.kind === 'refused');
  assert.match(now.reasons.join('; '), /"CN=maker" expired at/);
  const then = judge(certificate, 'issuance');
  assert.ok(then.kind === 'valid');
  assert.equal(then.judgedAtSeconds, ended - day);
  assert.match(then.notes.join('; '), /"CN=maker" expired at .*; the chain is judged at /);
});

test('at its issuance, too, an endorsement certificate is refused that ended, begins later, or was issued after its authority ended', () => {
  assert.equal(judge(endorsement(ended - day, foreignNowSeconds - 1), 'issuance').kind, 'refused');
  assert.equal(judge(endorsement(foreignNowSeconds + 1), 'issuance').kind, 'refused');
  assert.equal(judge(endorsement(ended + 1), 'issuance').kind, 'refused');
});
