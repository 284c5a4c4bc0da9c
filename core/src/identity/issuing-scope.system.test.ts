// What an issuing CA of one class can issue, as OpenSSL sees it: name constraints, key usage and policy bind readers that know nothing of our
// classes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Certificate } from './certificate.ts';
import { classOid } from './certificate-class.ts';
import { commonNameOnly } from './distinguished-name.ts';
import {
  authorityKeyIdentifier,
  basicConstraints,
  certificatePolicies,
  extendedKeyUsage,
  keyUsage,
  subjectAltName,
} from './extensions.ts';
import { type GeneralName, parseIpAddress } from './general-name.ts';
import { type IssuingScope, requestedScope, scopeExtensions, scopeOf, scopeProblems } from './issuing-scope.ts';
import { keyPurposeOid } from './oid.ts';
import { type CertificatePurpose, validatePath } from './path.ts';
import { encodePem } from './pem.ts';
import { deviceProfile, serverProfile, workloadProfile } from './profile.ts';
import { encodeSpki, keyIdentifierOf } from './public-key.ts';
import { encodeCertificateRequest, parseCertificateRequest } from './request.ts';
import { issueTo, type TestAuthority, testIssuing, testRoot } from './testing-roots.ts';

const skip = spawnSync('openssl', ['version']).error === undefined ? false : 'openssl is not installed';
const nowSeconds = Math.floor(Date.now() / 1_000);
const period = { notBeforeSeconds: nowSeconds - 3_600, notAfterSeconds: nowSeconds + 86_400 };
const root = await testRoot(period);
const scopes = {
  server: { certificateClass: 'server' },
  device: { certificateClass: 'device' },
  workload: { certificateClass: 'workload', trustDomain: 'plant_1.example' },
} as const satisfies Record<string, IssuingScope>;
const authorities = {
  server: await testIssuing(root, period, scopes.server),
  device: await testIssuing(root, period, scopes.device),
  workload: await testIssuing(root, period, scopes.workload),
};
const folder = mkdtempSync(join(tmpdir(), 'edgekeep-scope-'));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string, ...certificates: readonly Certificate[]) => {
  const path = join(folder, name);
  writeFileSync(path, certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join(''));
  return path;
};
const rootFile = file('root.pem', root.certificate);

const input = ({ certificate }: TestAuthority) => {
  return {
    spki: encodeSpki(root.signer.publicKey),
    serialRandom: randomBytes(16),
    ...period,
    issuer: certificate.subject,
  };
};
const { serverAuth, clientAuth } = keyPurposeOid;

async function leafBy(
  issuer: TestAuthority,
  names: readonly GeneralName[],
  oid: string,
  ...purposes: readonly [string, ...string[]]
): Promise<Certificate> {
  const extensions = [
    basicConstraints(false),
    keyUsage('digitalSignature'),
    extendedKeyUsage(...purposes),
    certificatePolicies(oid),
    subjectAltName(names),
    authorityKeyIdentifier(keyIdentifierOf(issuer.certificate.spki)),
  ];
  return issueTo({ ...input(issuer), subject: commonNameOnly('leaf'), extensions }, issuer.signer);
}

/** The verdicts of OpenSSL and of our reader, for a purpose, and with the class as the one policy that is acceptable. */
function verdicts(leaf: Certificate, issuer: TestAuthority, purpose: 'tls-server' | 'tls-client', policy?: string) {
  const chain = ['-CAfile', rootFile, '-untrusted', file('issuing.pem', issuer.certificate)];
  const asked = ['-purpose', purpose === 'tls-server' ? 'sslserver' : 'sslclient'];
  const policies = policy === undefined ? [] : ['-policy', policy, '-explicit_policy'];
  const args = ['verify', '-x509_strict', ...chain, ...asked, ...policies, file('leaf.pem', leaf)];
  const openssl = spawnSync('openssl', args, { encoding: 'utf8' });
  const ours = validatePath({
    leaf,
    intermediates: [issuer.certificate],
    anchors: [root.certificate],
    atSeconds: nowSeconds,
    purpose: purpose satisfies CertificatePurpose,
    ...(policy !== undefined && { policies: { initialPolicies: [policy], requireExplicit: true } }),
  });
  return { openssl: openssl.status === 0 ? 'valid' : openssl.stderr, ours: ours.kind, reasons: ours };
}

function assertValid(...args: Parameters<typeof verdicts>): void {
  const { openssl, ours, reasons } = verdicts(...args);
  assert.deepEqual(
    [openssl, ours],
    ['valid', 'valid'],
    JSON.stringify(reasons.kind === 'refused' ? reasons.reasons : ''),
  );
}
function assertRefused(says: RegExp, ...args: Parameters<typeof verdicts>): void {
  const { openssl, ours } = verdicts(...args);
  assert.match(openssl, says);
  assert.equal(ours, 'refused');
}

test('each CA issues for its class, and OpenSSL takes what it issues', { skip }, async () => {
  const names = { dnsNames: ['hub.plant.example'], ipAddresses: ['192.0.2.1'] };
  const id = { trustDomain: 'plant_1.example', deviceId: 'press-7', workload: 'vision' };
  const { server, device, workload } = authorities;
  const ofServer = await issueTo(serverProfile(input(server), server.certificate, names), server.signer);
  const ofDevice = await issueTo(deviceProfile(input(device), device.certificate, 'press-7'), device.signer);
  const ofWorkload = await issueTo(workloadProfile(input(workload), workload.certificate, id), workload.signer);
  assertValid(ofServer, server, 'tls-server', classOid.server);
  assertValid(ofDevice, device, 'tls-client', classOid.device);
  for (const purpose of ['tls-server', 'tls-client'] as const)
    assertValid(ofWorkload, workload, purpose, classOid.workload);
  assertRefused(/purpose/, ofServer, server, 'tls-client');
  assertRefused(/purpose/, ofDevice, device, 'tls-server');
  assertRefused(/policy/, ofWorkload, workload, 'tls-server', classOid.server);
});

// SECURITY.md: HUB-63
test(
  'the CAs for devices and workloads issue no host, and no CA a certificate of another class',
  { skip },
  async () => {
    const { server, device, workload } = authorities;
    const hosts: readonly GeneralName[] = [
      { kind: 'dns', text: 'hub.plant.example' },
      { kind: 'dns', text: 'localhost' },
      { kind: 'ip', bytes: parseIpAddress('192.0.2.1') },
      { kind: 'ip', bytes: parseIpAddress('::1') },
    ];
    for (const name of hosts) {
      const ofWorkload = await leafBy(workload, [name], classOid.workload, serverAuth, clientAuth);
      assertRefused(/excluded subtree/, ofWorkload, workload, 'tls-server');
      const ofDevice = await leafBy(device, [name], classOid.device, clientAuth);
      assertRefused(/excluded subtree/, ofDevice, device, 'tls-client');
    }
    const elsewhere: GeneralName = { kind: 'uri', text: 'spiffe://other.example/device/press-7/workload/vision' };
    const foreign = await leafBy(workload, [elsewhere], classOid.workload, serverAuth, clientAuth);
    assertRefused(/permitted subtree/, foreign, workload, 'tls-server');
    const urn: GeneralName = { kind: 'uri', text: 'urn:edgekeep:device:press-7' };
    assertRefused(/name/, await leafBy(workload, [urn], classOid.device, clientAuth), workload, 'tls-client');
    assertRefused(/purpose/, await leafBy(server, [urn], classOid.device, clientAuth), server, 'tls-client');
    assertRefused(/purpose/, await leafBy(device, [urn], classOid.device, serverAuth), device, 'tls-server');
    assertRefused(
      /policy/,
      await leafBy(server, [urn], classOid.workload, serverAuth),
      server,
      'tls-server',
      classOid.workload,
    );
  },
);

test('a request says its scope, and a certificate that is wider or another is none of it', async () => {
  for (const scope of Object.values(scopes)) {
    const subject = commonNameOnly('next');
    const der = await encodeCertificateRequest({ subject, extensions: requestedScope(scope) }, root.signer);
    assert.deepEqual(scopeOf(parseCertificateRequest(der)), scope);
    const { certificate } = authorities[scope.certificateClass];
    assert.deepEqual(scopeOf(certificate), scope);
    assert.deepEqual(scopeProblems(certificate, scope), []);
    for (const other of Object.values(scopes))
      if (other !== scope) assert.notDeepEqual(scopeProblems(certificate, other), [], other.certificateClass);
    assert.notDeepEqual(scopeProblems(root.certificate, scope), []);
    assert.ok(scopeExtensions(scope).length >= 2);
  }
  const domain = { certificateClass: 'workload', trustDomain: 'other.example' } as const;
  assert.match(scopeProblems(authorities.workload.certificate, domain).join(), /name constraints/);
  assert.equal(scopeOf(root.certificate), undefined);
  assert.throws(() => requestedScope({ certificateClass: 'workload', trustDomain: '10.0.0.1' }), {
    code: 'encoding-invalid',
  });
  for (const oid of [classOid.consumer, classOid.service]) {
    const policies = await leafBy(authorities.device, [{ kind: 'dns', text: 'x' }], oid, clientAuth);
    assert.throws(() => scopeOf(policies), { code: 'certificate-invalid' });
  }
});
