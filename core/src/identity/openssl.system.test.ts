// OpenSSL and swtpm as oracles: they accept what we issue, we accept what they issue, and on our path vectors the verdicts agree.
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { parseBase64 } from '../bytes.ts';
import { parseJson } from '../json.ts';
import { signerFromKey } from '../signer.ts';
import { parseCertificate } from './certificate.ts';
import { deviceUri } from './device-id.ts';
import { commonNameOnly } from './distinguished-name.ts';
import { validateEndorsement } from './endorsement.ts';
import { subjectAltName } from './extensions.ts';
import { issueCertificate } from './issue.ts';
import { encodePem, parsePem } from './pem.ts';
import { deviceProfile, issuingAuthorityProfile, rootProfile, serverProfile } from './profile.ts';
import { encodeSpki } from './public-key.ts';
import { encodeCertificateRequest } from './request.ts';

function run(program: string, args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(program, args, { encoding: 'utf8' });
}

const missing = (program: string, flag: string): string | false =>
  run(program, [flag]).error === undefined || process.env['CI'] === 'true' ? false : `${program} is not installed`;

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'edgekeep-identity-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function write(folder: string, name: string, ...certificates: readonly Uint8Array[]): string {
  const path = join(folder, name);
  writeFileSync(path, certificates.map((der) => encodePem('CERTIFICATE', der)).join(''));
  return path;
}

const key = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const serialRandom = Uint8Array.from({ length: 16 }, (_, at) => at);
  // From 2026 into the years that need GeneralizedTime.
  const input = {
    spki: encodeSpki(publicKey),
    serialRandom,
    notBeforeSeconds: 1_767_225_600,
    notAfterSeconds: 4_000_000_000,
  };
  return { input, signer: signerFromKey(privateKey) };
};

test('openssl reads and verifies what the profiles issue', { skip: missing('openssl', 'version') }, async (t) => {
  const folder = folderFor(t);
  const [root, issuing, server, device] = [key(), key(), key(), key()];
  const rootDer = await issueCertificate(rootProfile(root.input, commonNameOnly('Root')), root.signer);
  const authority = issuingAuthorityProfile(issuing.input, parseCertificate(rootDer), commonNameOnly('Issuing'));
  const issuingDer = await issueCertificate(authority, root.signer);
  const issuer = parseCertificate(issuingDer);
  const names = { dnsNames: ['hub.example.com'], ipAddresses: ['127.0.0.1', '::1'] };
  const serverDer = await issueCertificate(serverProfile(server.input, issuer, names), issuing.signer);
  const deviceDer = await issueCertificate(deviceProfile(device.input, issuer, 'pump-7'), issuing.signer);

  const chain = ['-CAfile', write(folder, 'root.pem', rootDer), '-untrusted', write(folder, 'issuing.pem', issuingDer)];
  const verify = (purpose: string, file: string, ...more: readonly string[]) =>
    run('openssl', ['verify', '-x509_strict', '-attime', '1800000000', '-purpose', purpose, ...more, ...chain, file]);
  const deviceFile = write(folder, 'device.pem', deviceDer);
  const serverFile = write(folder, 'server.pem', serverDer);
  const accepted = [
    verify('sslclient', deviceFile),
    verify('sslserver', serverFile, '-verify_hostname', 'hub.example.com'),
    verify('sslserver', serverFile, '-verify_ip', '::1'),
  ];
  for (const { status, stderr } of accepted) assert.equal(status, 0, stderr);
  assert.notEqual(verify('sslserver', deviceFile).status, 0);

  const text = run('openssl', ['x509', '-in', deviceFile, '-noout', '-text']).stdout;
  for (const line of ['CN = pump-7', 'URI:urn:edgekeep:device:pump-7', 'TLS Web Client Authentication', 'CA:FALSE']) {
    assert.ok(text.includes(line), line);
  }
});

test('openssl verifies the possession proof of our requests', { skip: missing('openssl', 'version') }, async (t) => {
  const path = join(folderFor(t), 'request.pem');
  const extensions = [subjectAltName([{ kind: 'uri', text: deviceUri('pump-7') }])];
  const der = await encodeCertificateRequest({ subject: commonNameOnly('pump-7'), extensions }, key().signer);
  writeFileSync(path, encodePem('CERTIFICATE REQUEST', der));
  const { status, stdout, stderr } = run('openssl', ['req', '-in', path, '-verify', '-noout', '-text']);
  assert.equal(status, 0, stderr);
  assert.ok(stdout.includes('URI:urn:edgekeep:device:pump-7'));
});

// Where the two differ on purpose, and why (spec/certificates.md).
const differing: Readonly<Record<string, string>> = {
  'purpose-missing.json': 'OpenSSL lets a certificate without extended key usage serve every purpose',
  'usage-wrong.json': 'OpenSSL 3.0 lets a key for encipherment authenticate a client',
  'too-long.json': 'OpenSSL allows a hundred certificates',
  'policy-constraints.json': 'OpenSSL looks at policies only when it is asked to',
  'sha1.json': 'depends on the security level OpenSSL was built with',
  'rsa-short.json': 'depends on the security level OpenSSL was built with',
  'dns-wildcard.json': 'OpenSSL compares a wildcard as text',
  'valid-last-second.json': 'RFC 5280 section 4.1.2.5 counts the last second, OpenSSL does not',
  'valid-cross.json': 'OpenSSL follows one path only',
  'valid-two-keys.json': 'OpenSSL follows one path only',
};
const purposes: Readonly<Record<string, readonly string[]>> = {
  'tls-client': ['-purpose', 'sslclient'],
  'tls-server': ['-purpose', 'sslserver'],
};
const pathFolder = new URL('../../../spec/vectors/identity/paths/', import.meta.url);
const pathSchema = z.object({
  atSeconds: z.int(),
  purpose: z.string(),
  leaf: z.string(),
  intermediates: z.array(z.string()),
  anchors: z.array(z.string()).min(0),
  outcome: z.string(),
});

test(
  'openssl agrees with the verdict of every TLS path vector, but for the differences named',
  { skip: missing('openssl', 'version') },
  (t) => {
    const folder = folderFor(t);
    const disagreements: string[] = [];
    for (const name of readdirSync(pathFolder)) {
      const vector = parseJson(readFileSync(new URL(name, pathFolder)), pathSchema, name);
      const purpose = purposes[vector.purpose];
      if (purpose === undefined || name in differing || vector.anchors.length === 0) continue;
      const bytes = (text: string) => parseBase64(text, name);
      const anchors = write(folder, 'anchors.pem', ...vector.anchors.map(bytes));
      const untrusted = write(folder, 'untrusted.pem', ...vector.intermediates.map(bytes));
      const leaf = write(folder, 'leaf.pem', bytes(vector.leaf));
      const trust = ['-partial_chain', '-no-CApath', '-no-CAstore', '-CAfile', anchors];
      const others = vector.intermediates.length === 0 ? [] : ['-untrusted', untrusted];
      const time = ['-attime', String(vector.atSeconds)];
      const { status, stderr } = run('openssl', ['verify', ...time, ...purpose, ...trust, ...others, leaf]);
      if ((status === 0) !== (vector.outcome === 'valid')) disagreements.push(`${name}: ${vector.outcome} / ${stderr}`);
    }
    assert.deepEqual(disagreements, []);
  },
);

test(
  'the endorsement certificates of swtpm validate up to its local authority',
  { skip: missing('swtpm_setup', '--version') },
  (t) => {
    const folder = folderFor(t);
    mkdirSync(join(folder, 'state'));
    mkdirSync(join(folder, 'ca'));
    const ca = (name: string) => join(folder, 'ca', name);
    const keys = `signingkey = ${ca('key.pem')}\nissuercert = ${ca('issuer.pem')}\ncertserial = ${ca('serial')}\n`;
    writeFileSync(join(folder, 'ca.conf'), `statedir = ${ca('')}\n${keys}`);
    writeFileSync(join(folder, 'ca.options'), '--tpm-manufacturer id:00001014\n--tpm-model swtpm\n--tpm-version 2\n');
    const tool = '/usr/bin/swtpm_localca';
    const config = `create_certs_tool=${tool}\ncreate_certs_tool_config=${folder}/ca.conf\ncreate_certs_tool_options=${folder}/ca.options\n`;
    writeFileSync(join(folder, 'setup.conf'), config);
    const state = ['--tpm2', '--tpmstate', join(folder, 'state'), '--config', join(folder, 'setup.conf')];
    const setup = run('swtpm_setup', [...state, '--create-ek-cert', '--lock-nvram', '--write-ek-cert-files', folder]);
    assert.equal(setup.status, 0, setup.stdout + setup.stderr);

    const authority = (name: string) => parsePem(readFileSync(ca(name), 'utf8'), 'CERTIFICATE').map(parseCertificate);
    const files = readdirSync(folder).filter((name) => name.startsWith('ek-'));
    assert.equal(files.length, 2);
    for (const file of files) {
      const leaf = parseCertificate(readFileSync(join(folder, file)));
      const intermediates = authority('issuer.pem');
      const input = {
        leaf,
        intermediates,
        anchors: authority('swtpm-localca-rootca-cert.pem'),
        atSeconds: 4_000_000_000,
      };
      const result = validateEndorsement(input);
      assert.ok(result.kind === 'valid', result.kind === 'refused' ? result.reasons.join('; ') : '');
      assert.equal(result.tpm.model, 'swtpm');
      assert.equal(validateEndorsement({ ...input, anchors: [] }).kind, 'refused');
    }
  },
);
