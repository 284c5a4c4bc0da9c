// Whom a client takes for the hub.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Certificate } from './certificate.ts';
import { classOf, classOid, classProblem } from './certificate-class.ts';
import { commonNameOnly } from './distinguished-name.ts';
import {
  authorityKeyIdentifier,
  basicConstraints,
  certificatePolicies,
  type Extension,
  extendedKeyUsage,
  keyUsage,
  subjectAltName,
} from './extensions.ts';
import { type GeneralName, parseIpAddress } from './general-name.ts';
import { keyPurposeOid } from './oid.ts';
import { deviceProfile, serverProfile, workloadProfile } from './profile.ts';
import { encodeSpki, keyIdentifierOf } from './public-key.ts';
import { type ServerExpectation, verifyServer } from './server-certificate.ts';
import { issueTo, testIssuing, testRoot } from './testing-roots.ts';

const period = { notBeforeSeconds: 1_000, notAfterSeconds: 1_000_000 };
const root = await testRoot(period);
const general = await testIssuing(root, period);
const { serverAuth, clientAuth } = keyPurposeOid;
const input = () => ({ spki: encodeSpki(general.signer.publicKey), serialRandom: randomBytes(16), ...period });
const dns = (text: string): GeneralName => ({ kind: 'dns', text });

/** A certificate with these fields and nothing that a profile would put right. */
async function leafWith(fields: {
  commonName?: string;
  names?: readonly GeneralName[];
  purposes?: readonly [string, ...string[]];
  policies?: readonly [string, ...string[]];
}): Promise<Certificate> {
  const { commonName = 'hub', names, purposes = [serverAuth], policies } = fields;
  const extensions: readonly Extension[] = [
    basicConstraints(false),
    keyUsage('digitalSignature'),
    extendedKeyUsage(...purposes),
    ...(policies === undefined ? [] : [certificatePolicies(...policies)]),
    ...(names === undefined ? [] : [subjectAltName(names)]),
    authorityKeyIdentifier(keyIdentifierOf(general.certificate.spki)),
  ];
  const { subject: issuer } = general.certificate;
  return issueTo({ ...input(), issuer, subject: commonNameOnly(commonName), extensions }, general.signer);
}

function asked(leaf: Certificate, more: Partial<ServerExpectation> = {}) {
  const expectation = {
    name: 'hub',
    anchors: [root.certificate],
    atSeconds: 5_000,
    generalAuthority: 'accepted' as const,
  };
  const verdict = verifyServer([leaf, general.certificate], { ...expectation, ...more });
  return verdict.kind === 'valid' ? 'valid' : verdict.reasons.join('; ');
}

const server = await issueTo(
  serverProfile(input(), general.certificate, {
    dnsNames: ['hub', '*.edge.example'],
    ipAddresses: ['127.0.0.1', '::1'],
  }),
  general.signer,
);

test('a server is known by each of its alternative names, in every spelling, and by no other', () => {
  for (const name of ['hub', 'HUB', 'hub.', 'a.edge.example', '127.0.0.1', '::1', '0:0:0:0:0:0:0:1'])
    assert.equal(asked(server, { name }), 'valid', name);
  for (const name of ['hub2', 'edge.example', 'a.b.edge.example', '*.edge.example', '127.0.0.2', '::2', ''])
    assert.match(asked(server, { name }), /none of its alternative names/, name);
});

test('a certificate whose only name is the common name is none of a server', async () => {
  assert.match(asked(await leafWith({ policies: [classOid.server] })), /none of its alternative names/);
  assert.match(asked(await leafWith({})), /none of its alternative names/);
  const other = await leafWith({ policies: [classOid.server], names: [dns('other')] });
  assert.match(asked(other), /none of its alternative names/);
  const address = await leafWith({ policies: [classOid.server], names: [dns('127.0.0.1')] });
  assert.match(asked(address, { name: '127.0.0.1' }), /none of its alternative names/);
});

// SECURITY.md: NET-10
test('a workload’s and a device’s certificate are none of a server, also with the hub’s name in them', async () => {
  const id = { trustDomain: 'plant.example', deviceId: 'press-7', workload: 'hub' };
  const workload = await issueTo(workloadProfile(input(), general.certificate, id), general.signer);
  assert.match(asked(workload), /class workload, expected server/);
  const device = await issueTo(deviceProfile(input(), general.certificate, 'hub'), general.signer);
  assert.match(asked(device), /its extended key usage lacks/);
  const uri: GeneralName = { kind: 'uri', text: 'spiffe://plant.example/device/press-7/workload/hub' };
  // As hubs before there were classes issued them, and with a host's name added.
  const former = await leafWith({ names: [dns('hub'), uri], purposes: [serverAuth, clientAuth] });
  assert.match(asked(former), /not for servers alone; it has a URI/);
  for (const policies of [[classOid.workload], [classOid.server, classOid.device], [`${classOid.server}.9`]] as const)
    assert.match(asked(await leafWith({ names: [dns('hub')], policies })), /class/, policies.join());
});

test('a server of the version before, without a class, counts under a CA without one until that is refused', async () => {
  const former = await leafWith({ names: [dns('hub'), { kind: 'ip', bytes: parseIpAddress('127.0.0.1') }] });
  assert.equal(asked(former), 'valid');
  assert.match(asked(former, { generalAuthority: 'refused' }), /not a CA for servers/);
  assert.match(asked(server, { generalAuthority: 'refused' }), /not a CA for servers/);
});

test('the path is one whose signatures were verified, also when the server sends more', async () => {
  const expectation = {
    name: 'hub',
    anchors: [root.certificate],
    atSeconds: 5_000,
    generalAuthority: 'accepted' as const,
  };
  const stranger = await testIssuing(await testRoot(period), period);
  const verdict = verifyServer([server, stranger.certificate, general.certificate], expectation);
  assert.ok(verdict.kind === 'valid');
  assert.deepEqual(verdict.chain, [server, general.certificate, root.certificate]);
  assert.equal(verifyServer([server, stranger.certificate], expectation).kind, 'refused');
  assert.equal(verifyServer([], expectation).kind, 'refused');
});

test('a certificate has the class that it and its issuer name', async () => {
  assert.equal(classOf(server), 'server');
  assert.equal(classOf(general.certificate), undefined);
  assert.equal(classProblem(server, general.certificate, 'server'), undefined);
  assert.match(classProblem(server, general.certificate, 'device') ?? '', /class server, expected device/);
  const ofDevices = { extensions: { ...general.certificate.extensions, certificatePolicies: [classOid.device] } };
  assert.match(classProblem(server, ofDevices, 'server') ?? '', /issues for the class device/);
  assert.match(classProblem(await leafWith({}), ofDevices, 'device') ?? '', /of no class, expected device/);
});
