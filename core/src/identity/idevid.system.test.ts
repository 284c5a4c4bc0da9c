// OpenSSL as an oracle for IDevIDs: it shows what we write, and verifies what we verify.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { parseBase64 } from '../bytes.ts';
import { parseJson } from '../json.ts';
import { encodePem } from './pem.ts';
import { encodeSpki } from './public-key.ts';
import { newSigner, testManufacturer } from './testing-manufacturer.ts';

const run = (args: readonly string[]) => spawnSync('openssl', args, { encoding: 'utf8' });
const skip = run(['version']).error === undefined || process.env['CI'] === 'true' ? false : 'openssl is not installed';
const folder = new URL('../../../spec/vectors/identity/idevid/', import.meta.url);
const vector = z.object({
  outcome: z.union([z.literal('valid'), z.array(z.string())]),
  leaf: z.string(),
  intermediates: z.array(z.string()),
  anchors: z.array(z.string()),
  atSeconds: z.number(),
});

/** OpenSSL validates the path but does not know 802.1AR: it does not miss the fields that only an IDevID needs. */
const pathIsFine = new Set([
  'invalid-key-usage-missing.json',
  'invalid-key-usage.json',
  'invalid-purpose.json',
  'invalid-no-serial.json',
  'invalid-two-serials.json',
  'invalid-no-hardware.json',
  'invalid-two-hardware.json',
  'invalid-hardware-broken.json',
  'invalid-hardware-empty.json',
  'invalid-serial-differs.json',
  'invalid-curve.json',
]);

test('openssl verify agrees on the path of every IDevID vector', { skip }, (t) => {
  const place = mkdtempSync(join(tmpdir(), 'edgekeep-idevid-'));
  t.after(() => rmSync(place, { recursive: true }));
  const write = (name: string, certificates: readonly string[]) => {
    const path = join(place, name);
    writeFileSync(path, certificates.map((text) => encodePem('CERTIFICATE', parseBase64(text, name))).join(''));
    return path;
  };
  for (const name of readdirSync(folder)) {
    const { outcome, leaf, intermediates, anchors, atSeconds } = parseJson(
      readFileSync(new URL(name, folder)),
      vector,
      name,
    );
    const files = ['-CAfile', write('anchors.pem', anchors), '-untrusted', write('others.pem', intermediates)];
    const { status } = run([
      'verify',
      '-x509_strict',
      '-attime',
      String(atSeconds),
      ...files,
      write('leaf.pem', [leaf]),
    ]);
    assert.equal(status === 0, outcome === 'valid' || pathIsFine.has(name), name);
  }
});

test('openssl x509 shows an IDevID as 802.1AR wants it', { skip }, async (t) => {
  const place = mkdtempSync(join(tmpdir(), 'edgekeep-idevid-'));
  t.after(() => rmSync(place, { recursive: true }));
  const manufacturer = await testManufacturer();
  const [leaf] = await manufacturer.issue(encodeSpki(newSigner().publicKey), {
    serialNumber: 'SN-1',
    product: 'Camera',
  });
  const path = join(place, 'leaf.der');
  writeFileSync(path, leaf);
  const { stdout } = run(['x509', '-inform', 'der', '-in', path, '-noout', '-text']);
  for (const shown of [
    /Signature Algorithm: ecdsa-with-SHA256/,
    /Not After : Dec 31 23:59:59 9999 GMT/,
    /Subject: O = Example Works, CN = Camera, serialNumber = SN-1/,
    /ASN1 OID: prime256v1/,
    /X509v3 Key Usage: critical\s+Digital Signature\n/,
    /X509v3 Subject Alternative Name:\s+othername:/,
    /X509v3 Authority Key Identifier/,
  ]) {
    assert.match(stdout, shown);
  }
  assert.doesNotMatch(stdout, /Subject Key Identifier|Extended Key Usage|CA:TRUE/);
  const parsed = run(['asn1parse', '-inform', 'der', '-in', path, '-strparse', offsetOfAlternativeName(path)]);
  assert.match(
    parsed.stdout,
    /OBJECT\s+:(id-on-hardwareModuleName|1\.3\.6\.1\.5\.5\.7\.8\.4)[^]*OBJECT\s+:1\.3\.6\.1\.4\.1\.32473\.1\n[^]*OCTET STRING\s+:SN-1/,
  );
});

function offsetOfAlternativeName(path: string): string {
  const { stdout } = run(['asn1parse', '-inform', 'der', '-in', path]);
  return /Subject Alternative Name\n\s*(\d+):/.exec(stdout)?.[1] ?? '';
}
