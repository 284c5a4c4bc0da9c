// Other issuers' certificates, field by field: where the strict profile refuses and OpenSSL reads, the foreign profile reads, and the
// verdict on the path is OpenSSL's. Wrong values stay refused, with their reason.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { constants, generateKeyPairSync, randomInt, sign } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { derBoolean, derExplicit, derInteger, derNull, derOid, derSequence, derTag, derValue } from '../der.ts';
import { CoreError } from '../error.ts';
import { parseCertificate, parseForeignCertificate, publicKeyOf } from './certificate.ts';
import { readCertificateFile } from './certificate-file.ts';
import { extendedKeyUsage, subjectAltName } from './extensions.ts';
import { algorithmOid, extensionOid, keyPurposeOid } from './oid.ts';
import { validatePath } from './path.ts';
import { encodePem } from './pem.ts';
import {
  authorityExtensions,
  derText,
  empty,
  encodeExtension,
  type ForeignFields,
  foreignCertificate,
  foreignKey,
  foreignNowSeconds,
  foreignRoot,
  latin1,
  leafExtensions,
  nameOf,
  rawExtension,
  time,
} from './testing-foreign.ts';
import { p256Forms, rsaForms } from './testing-key-forms.ts';

const missing = spawnSync('openssl', ['version']).error === undefined || process.env['CI'] === 'true';
const skip = missing ? false : 'openssl is not installed';
// A new one each time; printed on failure.
const mutationSeed = randomInt(2 ** 31);
const folder = mkdtempSync(join(tmpdir(), 'edgekeep-foreign-'));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, ...ders: readonly Uint8Array[]): string {
  const path = join(folder, name);
  writeFileSync(path, ders.map((der) => encodePem('CERTIFICATE', der)).join(''));
  return path;
}

function opensslVerifies(leaf: Uint8Array, intermediates: readonly Uint8Array[], root: Uint8Array): boolean {
  const trust = ['-CAfile', write('root.pem', root), '-no-CApath', '-no-CAstore', '-auth_level', '1'];
  const others = intermediates.length === 0 ? [] : ['-untrusted', write('others.pem', ...intermediates)];
  const args = ['verify', '-attime', String(foreignNowSeconds), ...trust, ...others, write('leaf.pem', leaf)];
  return spawnSync('openssl', args).status === 0;
}

interface Case {
  readonly leaf?: ForeignFields;
  readonly intermediate?: ForeignFields;
  readonly root?: ForeignFields;
  /** Why it is refused; left out: a valid path. */
  readonly refused?: RegExp;
  /** Why this reader refuses a wrong value that OpenSSL accepts. */
  readonly stricter?: string;
  /** The strict profile reads it as well. */
  readonly strictReads?: true;
}

const usage = (...bytes: readonly number[]) =>
  rawExtension(extensionOid.keyUsage, derBoolean(true), derValue(derTag.bitString, Uint8Array.from(bytes)));
const [authorityBasic = empty, authorityUsage = empty] = authorityExtensions;
const [leafUsage = empty, leafPurpose = empty] = leafExtensions;
const basic = (...parts: readonly Uint8Array[]) =>
  rawExtension(extensionOid.basicConstraints, derBoolean(true), derSequence(...parts));
const falseWritten = derValue(derTag.boolean, Uint8Array.of(0));
const oneAsTrue = derValue(derTag.boolean, Uint8Array.of(1));
const ecdsaWithNull = derSequence(derOid(algorithmOid.ecdsaSha256), derNull());
const policies = derSequence(
  derSequence(
    derOid('1.3.6.1.4.1.99999.1'),
    derSequence(derSequence(derOid('1.3.6.1.5.5.7.2.1'), derValue(derTag.ia5String, latin1('https://example.com')))),
  ),
);
const otherName = encodeExtension(subjectAltName([{ kind: 'dns', text: 'tpm' }]));
const forms = p256Forms();
const rsa = rsaForms();
const pssKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const rsaSpki = (key = pssKey) => rsaSpkiOf(key);

function rsaSpkiOf(key: typeof pssKey): Uint8Array {
  const pem = spawnSync('openssl', ['pkey', '-pubout', '-outform', 'DER'], {
    input: key.export({ format: 'pem', type: 'pkcs8' }),
  });
  return pem.stdout;
}

const sha256 = derSequence(derOid(algorithmOid.sha256), derNull());
const pss = (trailer: number) =>
  derSequence(
    derOid(algorithmOid.rsaPss),
    derSequence(
      derExplicit(0, sha256),
      derExplicit(1, derSequence(derOid(algorithmOid.mgf1), sha256)),
      derExplicit(2, derInteger(32)),
      derExplicit(3, derInteger(trailer)),
    ),
  );
const signPss = (tbs: Uint8Array) =>
  sign('sha256', tbs, { key: pssKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });

const cases: Readonly<Record<string, Case>> = {
  'as we write it': { strictReads: true },
  'key usage of an authority with trailing zero bits': {
    intermediate: { extensions: [authorityBasic, usage(0, 0x06)] },
  },
  'key usage of a leaf with trailing zero bits': { leaf: { extensions: [usage(0, 0x80), leafPurpose] } },
  'key usage with bits that have no meaning yet': { leaf: { extensions: [usage(0, 0x80, 0x00), leafPurpose] } },
  'key usage with unused bits that are set': { leaf: { extensions: [usage(7, 0xff), leafPurpose] } },
  'critical certificate policies in an authority and in a leaf': {
    strictReads: true,
    intermediate: {
      extensions: [...authorityExtensions, rawExtension(extensionOid.certificatePolicies, derBoolean(true), policies)],
    },
    leaf: {
      extensions: [...leafExtensions, rawExtension(extensionOid.certificatePolicies, derBoolean(true), policies)],
    },
  },
  'a critical distribution point': {
    strictReads: true,
    leaf: { extensions: [...leafExtensions, rawExtension('2.5.29.31', derBoolean(true), derSequence())] },
    stricter: 'OpenSSL reads the list, and finds an empty one wrong',
  },
  'GeneralizedTime before 2050': {
    leaf: {
      notBefore: time(derTag.generalizedTime, '20231114221320Z'),
      notAfter: time(derTag.generalizedTime, '20300317174640Z'),
    },
  },
  'NULL beside ECDSA': { leaf: { algorithm: ecdsaWithNull } },
  'critical FALSE written out': {
    leaf: { extensions: [leafUsage, rawExtension('2.5.29.37', falseWritten, purposes())] },
  },
  'cA FALSE written out': { leaf: { extensions: [basic(falseWritten), ...leafExtensions] } },
  'true as 01': { intermediate: { extensions: [basic(oneAsTrue), authorityUsage] } },
  'a path length on a certificate that is no authority': {
    leaf: { extensions: [basic(derInteger(0)), ...leafExtensions] },
  },
  'version 1 written out': { leaf: { version: derExplicit(0, derInteger(0)), extensions: [] } },
  'serial number 0': { leaf: { serial: derInteger(0) } },
  'a negative serial number': { leaf: { serial: derValue(derTag.integer, Uint8Array.of(0x80, 0x01)) } },
  'a serial number of 21 octets': { leaf: { serial: derInteger(new Uint8Array(20).fill(0xee)) } },
  'an empty subject whose alternative name is not critical': {
    leaf: { subject: derSequence(), extensions: [...leafExtensions, otherName] },
  },
  'an issuer in BMPString whose own certificate says UTF8String': {
    strictReads: true,
    leaf: { issuer: derText(derTag.bmpString, Buffer.from('intermediate', 'utf16le').swap16()) },
  },
  'an issuer in T61String': { strictReads: true, leaf: { issuer: derText(derTag.t61String, latin1('INTERMEDIATE')) } },
  'an issuer in UniversalString': {
    strictReads: true,
    leaf: {
      issuer: derText(
        derTag.universalString,
        Buffer.from([...latin1('intermediate')].flatMap((octet) => [0, 0, 0, octet])),
      ),
    },
  },
  'a subject in PrintableString with characters that it does not have': {
    leaf: { subject: derText(derTag.printableString, latin1('Müller & Söhne*')) },
  },
  'a length with an octet more than it needs': { leaf: { reshape: (content) => padded(content) } },
  'indefinite length': { leaf: { issuer: indefinite(nameOf('intermediate')) } },
  'a compressed point in a leaf': { strictReads: true, leaf: { spki: forms.others['compressed'] ?? empty } },
  'a hybrid point in an authority': {
    strictReads: true,
    intermediate: { spki: forms.others['hybrid'] ?? empty },
    leaf: { signer: forms.privateKey },
  },
  'RSASSA-PSS with the trailer field written out': {
    intermediate: { spki: rsaSpki() },
    leaf: { algorithm: pss(1), sign: signPss },
  },
  'a root of version 1': { strictReads: true, root: { version: empty, extensions: [] } },
  'a root with a key usage alone': { strictReads: true, root: { extensions: [authorityUsage] } },
  // Wrong values.
  'an intermediate of version 1': {
    strictReads: true,
    intermediate: { version: empty, extensions: [] },
    refused: /not an authority/,
  },
  'explicit curve parameters': {
    strictReads: true,
    leaf: { spki: forms.others['explicit'] ?? empty },
    refused: /explicit curve parameters/,
    stricter: 'OpenSSL looks at them in authorities only',
  },
  'explicit curve parameters of an authority': {
    strictReads: true,
    intermediate: { spki: forms.others['explicit'] ?? empty },
    leaf: { signer: forms.privateKey },
    refused: /explicit curve parameters/,
  },
  'another trailer field': {
    intermediate: { spki: rsaSpki() },
    leaf: { algorithm: pss(2), sign: signPss },
    refused: /signed with RSASSA-PSS with the trailer field 2, which is not accepted/,
  },
  'a key for RSASSA-PSS that signs in another way': {
    strictReads: true,
    intermediate: { spki: rsa.others['RSASSA-PSS'] ?? empty },
    leaf: {
      algorithm: derSequence(derOid(algorithmOid.rsaSha256), derNull()),
      sign: (tbs) => sign('sha256', tbs, rsa.privateKey),
    },
    refused: /has a key for RSASSA-PSS/,
  },
  'SHA-1': {
    strictReads: true,
    leaf: {
      algorithm: derSequence(derOid('1.2.840.10045.4.1')),
      sign: (tbs) => sign('sha1', tbs, foreignKey.privateKey),
    },
    refused: /is signed with SHA-1, which is not accepted/,
    stricter: 'depends on the security level OpenSSL was built with',
  },
  'another algorithm outside': { leaf: { outerAlgorithm: ecdsaWithNull }, refused: /differs from the one outside/ },
  'UTCTime without seconds': {
    leaf: { notBefore: time(derTag.utcTime, '2311142213Z') },
    refused: /a time that is not/,
  },
  'a fraction of a second': {
    leaf: { notBefore: time(derTag.generalizedTime, '20231114221320.5Z') },
    refused: /a time that is not/,
  },
  'a time zone': { leaf: { notBefore: time(derTag.utcTime, '231114221320+0000') }, refused: /a time that is not/ },
  'a day that does not exist': { leaf: { notBefore: time(derTag.utcTime, '230230221320Z') }, refused: /no such time/ },
  'a key usage without a usage': {
    leaf: { extensions: [usage(0, 0x00), leafPurpose] },
    refused: /no usage at all/,
    stricter: 'OpenSSL looks at it with -x509_strict only',
  },
  'an unknown critical extension': {
    strictReads: true,
    leaf: { extensions: [...leafExtensions, rawExtension('1.3.6.1.4.1.99999.7', derBoolean(true), derNull())] },
    refused: /unknown critical extension/,
  },
  'an extension twice': {
    leaf: { extensions: [...leafExtensions, leafUsage] },
    refused: /occurs twice/,
    stricter: 'OpenSSL takes the first one',
  },
};

function purposes(): Uint8Array {
  return extendedKeyUsage(keyPurposeOid.clientAuth).value;
}

// 30 83 00 LL LL: one octet of length more than it needs.
function padded(content: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(0x30, 0x83, 0, content.length >> 8, content.length & 0xff), content]);
}

function indefinite(name: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(0x30, 0x80), name.subarray(2), Uint8Array.of(0, 0)]);
}

for (const [name, { leaf, intermediate, root, refused, stricter, strictReads }] of Object.entries(cases)) {
  test(
    `${name}: ${refused === undefined ? 'read, and valid as for OpenSSL' : 'refused, and said why'}`,
    { skip },
    () => {
      const leafDer = foreignCertificate({ issuer: nameOf('intermediate'), extensions: leafExtensions, ...leaf });
      const middle = { subject: nameOf('intermediate'), extensions: authorityExtensions };
      const intermediateDer = foreignCertificate({ ...middle, ...intermediate });
      const rootDer =
        root === undefined
          ? foreignRoot
          : foreignCertificate({ subject: nameOf('root'), extensions: authorityExtensions, ...root });
      const ders = [leafDer, intermediateDer, rootDer];
      const verdict = ours(leafDer, intermediateDer, rootDer);
      if (refused === undefined) assert.equal(verdict, 'valid');
      else assert.match(verdict, refused);
      if (stricter === undefined)
        assert.equal(
          opensslVerifies(leafDer, [intermediateDer], rootDer),
          verdict === 'valid',
          `OpenSSL differs: ${verdict}`,
        );
      if (strictReads === true) ders.forEach((der) => parseCertificate(der));
      else assert.throws(() => ders.map((der) => parseCertificate(der)), { code: 'certificate-invalid' });
    },
  );
}

/** `valid`, or why not. */
function ours(leafDer: Uint8Array, intermediateDer: Uint8Array, rootDer: Uint8Array): string {
  try {
    const [leaf, intermediate, root] = [leafDer, intermediateDer, rootDer].map((der) => parseForeignCertificate(der));
    assert.ok(leaf !== undefined && intermediate !== undefined && root !== undefined);
    const path = { leaf, intermediates: [intermediate], anchors: [root], atSeconds: foreignNowSeconds };
    const result = validatePath({ ...path, purpose: 'any' });
    return result.kind === 'valid' ? 'valid' : result.reasons.join('; ');
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return error.message;
  }
}

test('of leaves with octets changed and signed again, none is valid here that OpenSSL refuses', { skip }, () => {
  const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), octet: fc.nat(255) });
  const mutants = fc.sample(fc.array(change, { minLength: 1, maxLength: 2 }), { numRuns: 600, seed: mutationSeed });
  const issuer = nameOf('intermediate');
  const policy = rawExtension(extensionOid.certificatePolicies, derBoolean(true), policies);
  const intermediate = foreignCertificate({ subject: issuer, extensions: authorityExtensions });
  const made = mutants.map((changes, number) => {
    const reshape = (content: Uint8Array) => {
      const tbs = derSequence(content);
      for (const { at, octet } of changes) tbs[Math.floor(at * tbs.length)] = octet;
      return tbs;
    };
    const extensions = [basic(), ...leafExtensions, otherName, policy];
    const der = foreignCertificate({ issuer, extensions, reshape });
    return { der, file: write(`mutant-${number}.pem`, der) };
  });
  const trust = ['-CAfile', write('root.pem', foreignRoot), '-untrusted', write('others.pem', intermediate)];
  const args = ['verify', '-attime', String(foreignNowSeconds), '-auth_level', '1', '-no-CApath', '-no-CAstore'];
  const { stdout } = spawnSync('openssl', [...args, ...trust, ...made.map(({ file }) => file)], { encoding: 'utf8' });
  const theirs = new Set(stdout.split('\n').flatMap((line) => /^(.*): OK$/.exec(line)?.[1] ?? []));
  const own = made.filter(({ der }) => ours(der, intermediate, foreignRoot) === 'valid');
  assert.ok(own.length > 0 && own.length < made.length, `${own.length} are valid`);
  const wrong = own.filter(({ file }) => !theirs.has(file)).map(({ der }) => Buffer.from(der).toString('base64'));
  assert.deepEqual(wrong, [], `seed ${mutationSeed}`);
});

test('every authority that the machine trusts is read, and its key with it', (t) => {
  const bundle = '/etc/ssl/certs/ca-certificates.crt';
  if (!existsSync(bundle)) return t.skip('ca-certificates is not installed');
  const bytes = readFileSync(bundle);
  const { certificates, problems } = readCertificateFile(bytes, 'ca-certificates.crt');
  assert.deepEqual(problems, []);
  assert.equal(certificates.length, bytes.toString('latin1').split('-----BEGIN CERTIFICATE-----').length - 1);
  for (const certificate of certificates) publicKeyOf(certificate);
  return undefined;
});
