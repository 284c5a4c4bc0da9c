// How a device learns its hub's roots, and what it keeps over a restart.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest } from '@edgekeep/core/identity/certificate';
import { encodeCrl, encodeCrlEntry } from '@edgekeep/core/identity/crl';
import type { IssuingScope } from '@edgekeep/core/identity/issuing-scope';
import { encodePem } from '@edgekeep/core/identity/pem';
import { encodeCanonicalJson } from '@edgekeep/core/json';
import { serverProfile } from '@edgekeep/core/identity/profile';
import { issueTo, type TestAuthority, testIssuing, testLinks, testRoot } from '@edgekeep/core/identity/testing-roots';
import { replaceBoth } from '@edgekeep/host/two-copies';
import type { AgentEvent } from '../event.ts';
import { KeptState } from '../kept-state.ts';
import { KnownRoots, type RootUpdate } from './known-roots.ts';

const period = { notBeforeSeconds: 1_000, notAfterSeconds: 1_000_000 };
const now = 500_000;
const [first, second, third] = [await testRoot(period), await testRoot(period), await testRoot(period)];
const links = { second: await testLinks(first, second), third: await testLinks(second, third) };
const pinned = encodePem('CERTIFICATE', first.certificate.der);
const folder = await mkdtemp(join(tmpdir(), 'edgekeep-roots-'));
after(() => rm(folder, { recursive: true, force: true }));
let files = 0;
const newFile = () => join(folder, `${(files += 1)}.json`);

function update(root: TestAuthority, more: Partial<RootUpdate> = {}): RootUpdate {
  return { certificate: root.certificate, links: undefined, list: undefined, dropped: false, ...more };
}
const two = [update(first), update(second, { links: links.second })];
const sha256 = ({ certificate }: TestAuthority) => toHex(certificateDigest(certificate));

async function serverUnder(root: TestAuthority, scope?: IssuingScope) {
  const issuing = await testIssuing(root, period, scope);
  const input = { spki: issuing.certificate.spki, serialRandom: new Uint8Array(16), ...period };
  const template = serverProfile(input, issuing.certificate, { dnsNames: ['hub'], ipAddresses: [] });
  const leaf = await issueTo(template, issuing.signer);
  return { chain: [leaf, issuing.certificate], issuing };
}
const [underFirst, underSecond] = [await serverUnder(first), await serverUnder(second)];

test('a root that was learned is known after a restart', async () => {
  const file = newFile();
  const roots = await KnownRoots.open(file, pinned);
  const learned = await roots.learn(two, underFirst.chain, now);
  assert.deepEqual(learned, { kind: 'learned', added: [sha256(second)], dropped: [], generalRefused: false });
  assert.equal(roots.trustedPem.length, 2);
  const again = await KnownRoots.open(file, pinned);
  assert.equal(again.newest, sha256(second));
  assert.deepEqual(await again.learn(two, underFirst.chain, now), {
    kind: 'learned',
    added: [],
    dropped: [],
    generalRefused: false,
  });
});

// SECURITY.md: HUB-20
test('a list that does not follow changes nothing, in memory or on the disk', async () => {
  const file = newFile();
  const roots = await KnownRoots.open(file, pinned);
  const other = await testRoot(period);
  const forged = await testLinks(first, other, { oldSigner: other.signer });
  const learned = await roots.learn([update(first), update(other, { links: forged })], underFirst.chain, now);
  assert.equal(learned.kind, 'refused');
  assert.deepEqual(roots.trustedPem, [pinned]);
  await assert.rejects(readFile(file), { code: 'ENOENT' });
});

// SECURITY.md: HUB-21
test('an old root is dropped only on a connection that verifies without it, and stays dropped', async () => {
  const file = newFile();
  const roots = await KnownRoots.open(file, pinned);
  await roots.learn(two, underFirst.chain, now);
  const dropped = [update(first, { dropped: true }), ...two.slice(1)];
  await roots.learn(dropped, underFirst.chain, now);
  assert.equal(roots.trustedPem.length, 2, 'the old root was dropped on its own word');
  await roots.learn(dropped, [], now);
  assert.equal(roots.trustedPem.length, 2);
  const learned = await roots.learn(dropped, underSecond.chain, now);
  assert.deepEqual(learned, { kind: 'learned', added: [], dropped: [sha256(first)], generalRefused: false });
  await roots.learn(two, underSecond.chain, now);
  assert.equal(roots.trustedPem.length, 1, 'a dropped root came back');
  assert.equal((await KnownRoots.open(file, pinned)).trustedPem.length, 1);
});

test('the newest root is never dropped', async () => {
  const roots = await KnownRoots.open(newFile(), pinned);
  await roots.learn([update(first, { dropped: true })], underFirst.chain, now);
  assert.equal(roots.trustedPem.length, 1);
});

test('a device that was given a newer root file starts there; one with a foreign file starts anew', async () => {
  const file = newFile();
  const roots = await KnownRoots.open(file, pinned);
  await roots.learn([...two, update(third, { links: links.third })], underFirst.chain, now);
  const later = await KnownRoots.open(file, encodePem('CERTIFICATE', second.certificate.der));
  assert.equal(later.count, 2);
  const foreign = encodePem('CERTIFICATE', (await testRoot(period)).certificate.der);
  assert.deepEqual((await KnownRoots.open(file, foreign)).trustedPem, [foreign]);
});

// SECURITY.md: HUB-65
test('a CA without a class is refused for ever, once the hub has none and one for servers issued its certificate', async () => {
  const file = newFile();
  const roots = await KnownRoots.open(file, pinned);
  const servers = await serverUnder(first, { certificateClass: 'server' });
  const devices = (await testIssuing(first, period, { certificateClass: 'device' })).certificate;
  const general = underFirst.issuing.certificate;
  const known = [update(first)];
  const classed = [servers.issuing.certificate, devices];
  // The hub's word on a connection under the old CA, a hub that still has it, and a hub that says nothing.
  await roots.learn(known, underFirst.chain, now, classed);
  await roots.learn(known, servers.chain, now, [...classed, general]);
  await roots.learn(known, servers.chain, now, []);
  await roots.learn(known, [], now, classed);
  assert.equal(roots.generalAuthority, 'accepted');
  const learned = await roots.learn(known, servers.chain, now, classed);
  assert.ok(learned.kind === 'learned' && learned.generalRefused);
  const repeated = await roots.learn(known, servers.chain, now, [...classed, general]);
  assert.ok(repeated.kind === 'learned' && !repeated.generalRefused);
  for (const each of [roots, await KnownRoots.open(file, pinned)]) assert.equal(each.generalAuthority, 'refused');
});

test('a file of the version before is read: it accepts a CA without a class', async () => {
  const file = newFile();
  const roots = await KnownRoots.open(file, pinned);
  await roots.learn(two, underFirst.chain, now);
  const { generalRefused, type, ...fields }: Record<string, unknown> = JSON.parse(await readFile(file, 'utf8'));
  assert.deepEqual([type, generalRefused], ['edgekeep-known-roots/v2', false]);
  await writeFile(file, encodeCanonicalJson({ ...fields, type: 'edgekeep-known-roots/v1' }));
  const before = await KnownRoots.open(file, pinned);
  assert.deepEqual([before.count, before.generalAuthority], [2, 'accepted']);
});

test('a file that somebody changed is not taken: its second copy is, and without one the device begins with its first root', async () => {
  const file = newFile();
  const roots = await KnownRoots.open(file, pinned);
  await roots.learn(two, underFirst.chain, now);
  const text = await readFile(file, 'utf8');
  const other = Buffer.from((await testRoot(period)).certificate.der).toString('base64url');
  const own = Buffer.from(second.certificate.der).toString('base64url');
  for (const spoiled of [
    text.replace(own, other),
    text.replace('"dropped":0', '"dropped":2'),
    text.replace('{', '{"more":1,'),
    '',
  ]) {
    await writeFile(file, spoiled);
    assert.equal((await KnownRoots.open(file, pinned)).count, 2);
    for (const path of [file, `${file}.copy`]) await writeFile(path, spoiled);
    const lost: string[] = [];
    const emit = (event: AgentEvent) => void lost.push(event.kind);
    const fresh = await KnownRoots.open(file, pinned, new KeptState({ isEnrolled: true, emit }));
    assert.deepEqual([fresh.trustedPem, lost], [[pinned], ['state-lost']]);
    await replaceBoth(file, Buffer.from(text));
  }
});

// SECURITY.md: HUB-22
test('a server below an issuing CA that its root revoked is refused, also after an older list', async () => {
  const file = newFile();
  const roots = await KnownRoots.open(file, pinned);
  const times = { thisUpdateSeconds: now, nextUpdateSeconds: now + 60 };
  const entry = encodeCrlEntry({
    serial: underFirst.issuing.certificate.serial,
    revokedAtSeconds: now,
    reason: 'cACompromise',
  });
  const make = (number: number, entries: readonly Uint8Array[], { certificate: issuer, signer } = first) =>
    encodeCrl({ issuer, number, ...times, entries }, signer);
  roots.assertNotRevoked(underFirst.chain);
  await roots.learn([update(first, { list: await make(2, [entry], second) })], underFirst.chain, now);
  roots.assertNotRevoked(underFirst.chain);
  await roots.learn([update(first, { list: await make(2, [entry]) })], underFirst.chain, now);
  assert.throws(() => roots.assertNotRevoked(underFirst.chain), /revoked by the root/);
  await roots.learn([update(first, { list: await make(1, []) })], underFirst.chain, now + 10_000);
  const again = await KnownRoots.open(file, pinned);
  assert.throws(() => again.assertNotRevoked(underFirst.chain), /revoked by the root/);
  again.assertNotRevoked(underSecond.chain);
  // Past its date it counts on, and the device says so.
  assert.deepEqual(again.staleLists(now + 60), []);
  assert.deepEqual(
    again.staleLists(now + 61).map(({ sinceSeconds }) => sinceSeconds),
    [now + 60],
  );
});
