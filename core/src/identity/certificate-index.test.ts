// Path building over an operator's configuration: thousands of certificates, several of one name, cross-signed, in loops.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { derInteger } from '../der.ts';
import { type Certificate, parseForeignCertificate } from './certificate.ts';
import { indexCertificates } from './certificate-index.ts';
import { readCertificateFile } from './certificate-file.ts';
import { authorityKeyIdentifier, subjectKeyIdentifier } from './extensions.ts';
import { validatePath } from './path.ts';
import { encodePem } from './pem.ts';
import {
  authorityExtensions,
  encodeExtension,
  foreignCertificate,
  foreignKey,
  foreignNowSeconds,
  foreignRoot,
  leafExtensions,
  nameOf,
} from './testing-foreign.ts';

const keys = Array.from({ length: 4 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
const keyAt = (at: number) => keys[at] ?? foreignKey;
const spkiOf = (at: number) => keyAt(at).publicKey.export({ format: 'der', type: 'spki' });
const root = parseForeignCertificate(foreignRoot);
const at = { atSeconds: foreignNowSeconds, purpose: 'any' as const };

let serial = 100;
/** An authority, or a leaf; `key` and `by` are places in `keys`, -1 for the root's. */
function certificate(
  subject: string,
  issuer: string,
  { key, by, ids = true, leaf = false }: { key: number; by: number; ids?: boolean; leaf?: boolean },
): Certificate {
  serial += 1;
  const own = encodeExtension(subjectKeyIdentifier(Uint8Array.of(1, key + 1)));
  const theirs = encodeExtension(authorityKeyIdentifier(Uint8Array.of(1, by + 1)));
  return parseForeignCertificate(
    foreignCertificate({
      serial: derInteger(serial),
      subject: nameOf(subject),
      issuer: nameOf(issuer),
      spki: spkiOf(key),
      extensions: [
        ...(leaf ? leafExtensions : authorityExtensions),
        ...(ids ? [own, ...(by === -1 ? [] : [theirs])] : []),
      ],
      signer: keyAt(by).privateKey,
    }),
  );
}

const others = Array.from({ length: 3_000 }, (_, n) =>
  parseForeignCertificate(
    foreignCertificate({
      serial: derInteger(n + 1),
      subject: nameOf(`authority ${n}`),
      extensions: authorityExtensions,
    }),
  ),
);

test('among three thousand certificates of an operator the one that fits is found', () => {
  const leaf = certificate('leaf', 'maker', { key: 1, by: 0, leaf: true });
  const maker = certificate('maker', 'root', { key: 0, by: -1 });
  const known = indexCertificates([...others, maker]);
  const result = validatePath({ leaf, intermediates: [], known, anchors: indexCertificates([root]), ...at });
  assert.ok(result.kind === 'valid');
  assert.deepEqual(result.chain, [leaf, maker, root]);
  assert.equal(validatePath({ leaf, intermediates: [], known: others, anchors: [root], ...at }).kind, 'refused');
});

test('a certificate that is given twice is there once', () => {
  assert.equal(indexCertificates([root, parseForeignCertificate(foreignRoot)]).certificates.length, 1);
});

test('of several certificates of one name the one whose key signed is found, with and without key identifiers', () => {
  for (const ids of [true, false]) {
    const leaf = certificate('leaf', 'maker', { key: 3, by: 2, ids, leaf: true });
    const known = [0, 1, 2].map((key) => certificate('maker', 'root', { key, by: -1, ids }));
    const result = validatePath({ leaf, intermediates: [], known, anchors: [root], ...at });
    assert.ok(result.kind === 'valid');
    assert.equal(result.chain[1], known[2]);
  }
});

test('when the first way does not end at an anchor, the next one is tried', () => {
  const leaf = certificate('leaf', 'maker', { key: 1, by: 0, leaf: true });
  // The same authority, certified by an unknown one, in a loop, and by the root.
  const known = [
    certificate('maker', 'unknown', { key: 0, by: 2 }),
    certificate('maker', 'other', { key: 0, by: 3 }),
    certificate('other', 'maker', { key: 3, by: 0 }),
    certificate('maker', 'root', { key: 0, by: -1 }),
  ];
  const result = validatePath({ leaf, intermediates: [], known, anchors: [root], ...at });
  assert.ok(result.kind === 'valid');
  assert.equal(result.chain.length, 3);
});

test('an authority that is not self-issued is an anchor when the operator says so', () => {
  const leaf = certificate('leaf', 'maker', { key: 1, by: 0, leaf: true });
  const maker = certificate('maker', 'somebody else', { key: 0, by: 2 });
  const result = validatePath({ leaf, intermediates: [], anchors: [maker], ...at });
  assert.ok(result.kind === 'valid');
  assert.deepEqual(result.chain, [leaf, maker]);
});

test('a thousand authorities of one name without key identifiers end in a refusal, not in a search without end', () => {
  const leaf = certificate('leaf', 'maker', { key: 1, by: 0, ids: false, leaf: true });
  const known = Array.from({ length: 1_100 }, () => certificate('maker', 'maker', { key: 2, by: 2, ids: false }));
  const result = validatePath({ leaf, intermediates: [], known, anchors: [root], ...at });
  assert.ok(result.kind === 'refused');
  assert.match(result.reasons.join('; '), /no path within 64 signature checks/);
});

test('a file with a broken certificate gives the others, and names the file and the broken one', () => {
  const good = encodePem('CERTIFICATE', foreignRoot);
  const bad = encodePem('CERTIFICATE', foreignCertificate({ serial: derInteger(0xbad), notBefore: nameOf('x') }));
  const file = readCertificateFile(Buffer.from(`# a comment\n${good}${bad}${good}`), 'makers.pem');
  assert.equal(file.certificates.length, 2);
  assert.equal(file.problems.length, 1);
  assert.match(file.problems[0] ?? '', /^makers\.pem \(block 2\): the certificate with serial number bad by CN=root: /);
});

test('files in DER, in DER with the padding of a TPM behind, in base64, and with other things inside are read', () => {
  const padded = Buffer.concat([foreignRoot, new Uint8Array(40).fill(0xff)]);
  const bare = Buffer.from(Buffer.from(foreignRoot).toString('base64'));
  for (const bytes of [foreignRoot, padded, bare]) {
    const { certificates, problems } = readCertificateFile(bytes, 'x');
    assert.deepEqual(problems, []);
    assert.deepEqual(Buffer.from(certificates[0]?.der ?? []), Buffer.from(foreignRoot));
  }
  const key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n';
  assert.match(readCertificateFile(Buffer.from(key), 'x').problems[0] ?? '', /expected CERTIFICATE, found PRIVATE KEY/);
  assert.deepEqual(readCertificateFile(Buffer.from('nothing here!'), 'x').problems, ['x: no certificate']);
});
