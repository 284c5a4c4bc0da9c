// Why a server was refused, in one word: the hub's own certificate with a fault, another hub's, or a stranger's.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Certificate } from './certificate.ts';
import { commonNameOnly } from './distinguished-name.ts';
import { basicConstraints, extendedKeyUsage, keyUsage, subjectAltName } from './extensions.ts';
import { keyPurposeOid } from './oid.ts';
import { deviceProfile, serverProfile } from './profile.ts';
import { encodeSpki } from './public-key.ts';
import type { ServerExpectation } from './server-certificate.ts';
import { explainServer } from './server-refusal.ts';
import { issueTo, testIssuing, testRoot } from './testing-roots.ts';

const life = { notBeforeSeconds: 1_000, notAfterSeconds: 1_000_000 };
const root = await testRoot(life);
const issuing = await testIssuing(root, life);
const otherRoot = await testRoot(life);
const otherIssuing = await testIssuing(otherRoot, life);

const input = (period = life) => ({
  spki: encodeSpki(issuing.signer.publicKey),
  serialRandom: randomBytes(16),
  ...period,
});

const serverOf = (issuer: typeof issuing, dnsNames: readonly string[], ipAddresses: readonly string[], period = life) =>
  issueTo(serverProfile(input(period), issuer.certificate, { dnsNames, ipAddresses }), issuer.signer);

function explained(shown: readonly Certificate[], more: Partial<ServerExpectation> = {}) {
  const generalAuthority = 'accepted' as const;
  return explainServer(shown, {
    name: 'hub',
    anchors: [root.certificate],
    atSeconds: 5_000,
    generalAuthority,
    ...more,
  });
}

test('the hub’s own certificate is past its time, or before it, also where its issuing CA has ended too', async () => {
  const server = await serverOf(issuing, ['hub'], [], { notBeforeSeconds: 2_000, notAfterSeconds: 3_000 });
  const chain = [server, issuing.certificate];
  assert.deepEqual(explained(chain), { kind: 'expired', notAfterSeconds: 3_000 });
  assert.deepEqual(explained(chain, { atSeconds: 2_000_000 }), { kind: 'expired', notAfterSeconds: 3_000 });
  assert.deepEqual(explained(chain, { atSeconds: 10 }), { kind: 'not-yet-valid', notBeforeSeconds: 2_000 });
});

test('the hub’s own certificate has other names, and all of them are given, addresses as texts', async () => {
  const server = await serverOf(issuing, ['*.edge.example', 'other'], ['10.0.4.2', '2001:db8::5']);
  const names = ['*.edge.example', 'other', '10.0.4.2', '2001:db8::5'];
  for (const name of ['hub', '10.0.4.3', 'a.b.edge.example'])
    assert.deepEqual(explained([server, issuing.certificate], { name }), { kind: 'other-name', names });
  const star = await serverOf(issuing, ['*.edge.example'], []);
  assert.deepEqual(explained([star, issuing.certificate]), { kind: 'other-name', names: ['*.edge.example'] });
});

test('a hub under another root is another hub; everybody else is a stranger, with our issuer’s certificate beside it too', async () => {
  const other = await serverOf(otherIssuing, ['hub'], []);
  assert.deepEqual(explained([other, otherIssuing.certificate]), { kind: 'other-hub' });
  assert.deepEqual(explained([other]), { kind: 'other-hub' });
  const subject = commonNameOnly('hub');
  const extensions = [
    basicConstraints(false),
    keyUsage('digitalSignature'),
    extendedKeyUsage(keyPurposeOid.serverAuth),
    subjectAltName([{ kind: 'dns', text: 'hub' }]),
  ];
  const issuer = commonNameOnly('Corp TLS Inspection CA');
  const forged = await issueTo({ ...input(), issuer, subject, extensions }, otherIssuing.signer);
  assert.deepEqual(explained([forged]), { kind: 'foreign' });
  assert.deepEqual(explained([forged, issuing.certificate, root.certificate]), { kind: 'foreign' });
  assert.deepEqual(explained([]), { kind: 'foreign' });
});

test('a certificate of our own that is none of a server is refused for that', async () => {
  const device = await issueTo(deviceProfile(input(), issuing.certificate, 'hub'), issuing.signer);
  const refusal = explained([device, issuing.certificate]);
  assert.ok(refusal.kind === 'unfit');
  assert.match(refusal.reasons.join(), /its extended key usage lacks/);
});
