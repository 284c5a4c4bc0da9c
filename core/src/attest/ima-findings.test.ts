// What an IMA policy accepts (spec/ima-policy.md): files by digest, by signature and by pattern, buffers; and how policies are made.
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { concat, toBase64url, utf8 } from '../bytes.ts';
import { ImaPolicies } from './ima-findings.ts';
import { imaEntryEnds, type ImaEntry, parseImaLog } from './ima-log.ts';
import { encodeImaPolicy, type ImaPolicy, openImaPolicy, parseImaPolicy } from './ima-policy.ts';
import { imaPolicyFromKeylime, imaPolicyFromLogs } from './ima-policy-sources.ts';
import { imaKeyIdOf } from './ima-signature.ts';
import { imaEntry } from './testing-ima.ts';

const digestOf = (octet: number) => new Uint8Array(32).fill(octet);
const hex = (octet: number) => Buffer.from(digestOf(octet)).toString('hex');
const named = (path: string) => utf8(`${path}\0`);
const ng = (path: string, octet: number, algorithm = 'sha256') =>
  imaEntry('ima-ng', [concat(utf8(`${algorithm}:\0`), digestOf(octet)), named(path)]);
const buffer = (name: string, octet: number) =>
  imaEntry('ima-buf', [concat(utf8('sha256:\0'), digestOf(octet)), named(name), utf8('content')]);
/** The kernel writes zeros where the file was open for writing. */
const violation = (path: string) => {
  const entry = Buffer.from(ng(path, 0));
  entry.fill(0, 4, 24);
  return entry;
};
const aggregate = ng('boot_aggregate', 1);

const policy: ImaPolicy = {
  type: 'edgekeep-ima-policy/v1',
  name: 'line',
  version: '1.0.0',
  files: { '/opt/bin/a': [`sha256:${hex(2)}`, `sha256:${hex(3)}`], '/opt/bin/b': [`sha256:${hex(4)}`] },
  excludes: ['/var/log/.*'],
  buffers: { '.ima': [`sha256:${hex(7)}`] },
  ignoredBuffers: ['kexec-cmdline'],
};

function problems(log: readonly Uint8Array[], by: ImaPolicy = policy): readonly string[] {
  const [found] = new ImaPolicies([openImaPolicy(by)]).judge(parseImaLog(concat(...log)));
  assert.equal(found?.refused, found?.first.length);
  return found?.first ?? [];
}

// SECURITY.md: DEV-79
test('listed files, excluded paths, listed and ignored buffers and the boot aggregate are accepted', () => {
  const log = [aggregate, ng('/opt/bin/a', 2), ng('/opt/bin/a', 3), ng('/opt/bin/b', 4), ng('/var/log/x', 9)];
  assert.deepEqual(problems([...log, violation('/var/log/y'), buffer('.ima', 7), buffer('kexec-cmdline', 8)]), []);
});

// SECURITY.md: DEV-79
test('everything else is named: path, place in the log, and why', () => {
  const cases = [
    [ng('/opt/bin/evil', 2), /^IMA entry 1, "\/opt\/bin\/evil": it is not listed$/],
    [ng('/opt/bin/a', 4), /"\/opt\/bin\/a": its digest sha256:04.* is not a listed one$/],
    [ng('/opt/bin/a', 2, 'sha384'), /its digest sha384:/],
    [ng('/var/logs/x', 2), /not listed/],
    [violation('/opt/bin/a'), /changed while it was measured/],
    [ng('boot_aggregate', 1), /the boot aggregate is the first entry only/],
    [buffer('.ima', 8), /a measured buffer, and its digest/],
    [buffer('dm_table', 8), /a measured buffer that is not listed/],
  ] as const;
  for (const [entry, says] of cases) {
    const found = problems([aggregate, entry]);
    assert.equal(found.length, 1);
    assert.match(found[0] ?? '', says);
  }
});

const vectors = join(import.meta.dirname, '../../../spec/vectors/attest/ima-signature');
function signedFile(name: string) {
  const vector: { key: string; digest: string; signature: string } = JSON.parse(
    readFileSync(join(vectors, `${name}.json`), 'utf8'),
  );
  const bytes = (text: string) => Buffer.from(text, 'hex');
  const entry = (path: string, digest = bytes(vector.digest)) =>
    imaEntry('ima-sig', [concat(utf8('sha256:\0'), digest), named(path), bytes(vector.signature)]);
  const key = createPublicKey({ key: bytes(vector.key), format: 'der', type: 'spki' });
  return { entry, key: { id: imaKeyIdOf(key), key: toBase64url(bytes(vector.key)) } };
}

// SECURITY.md: DEV-79
test('a file with a signature by a key of the policy is accepted at any path; another content, key or a missing key is named', () => {
  for (const name of ['valid-rsa-2048-sha256', 'valid-p-256-sha256']) {
    const { entry, key } = signedFile(name);
    const signed = { ...policy, keys: [key] };
    assert.deepEqual(problems([aggregate, entry('/opt/tool'), entry('/opt/copy')], signed), []);
    assert.match(problems([entry('/opt/tool', Buffer.from(digestOf(9)))], signed)[0] ?? '', /is not over its digest/);
    assert.match(
      problems([entry('/opt/tool')])[0] ?? '',
      /signed by the key [0-9a-f]{8}, which the policy does not have/,
    );
    const other = signedFile('valid-p-384-sha256').key.key;
    const mixed = { ...policy, keys: [{ ...key, key: other }] };
    assert.match(problems([entry('/opt/tool')], mixed)[0] ?? '', /is not over its digest/);
  }
});

test('a log that is compared in pieces gives what the whole log gives', () => {
  const log = [aggregate, ...Array.from({ length: 30 }, (_, at) => ng(at % 3 === 0 ? `/bad/${at}` : '/opt/bin/b', 4))];
  const whole = concat(...log);
  const policies = new ImaPolicies([openImaPolicy(policy)]);
  const expected = policies.judge(parseImaLog(whole));
  assert.equal(expected[0]?.refused, 10);
  assert.equal(expected[0]?.first.length, 8);
  for (const cut of [1, 7, 30]) {
    const end = imaEntryEnds(whole)[cut - 1] ?? 0;
    const before = policies.judge(parseImaLog(whole.subarray(0, end)));
    assert.deepEqual(policies.judge(parseImaLog(whole.subarray(end), cut), before), expected);
  }
});

test('a policy that accepts everything, or is not canonical or bounded, is refused', () => {
  assert.deepEqual(parseImaPolicy(encodeImaPolicy(policy)), policy);
  for (const changes of [
    { excludes: ['.*'] },
    { excludes: ['/usr/(bin|lib)/.*'] },
    { files: {} },
    { files: { relative: [`sha256:${hex(1)}`] } },
    { files: { '/a': [`sha1:${'0'.repeat(40)}`] } },
    { files: { '/a': [] } },
    { keys: [{ id: '00000000', key: 'AAAA' }] },
    { buffers: { __proto__x: [`sha256:${hex(1)}`] } },
  ]) {
    const bytes = Buffer.from(JSON.stringify({ ...policy, ...changes }));
    assert.throws(() => parseImaPolicy(bytes), /./, JSON.stringify(changes));
    assert.throws(() => encodeImaPolicy({ ...policy, ...changes }));
  }
});

const entriesOf = (...log: readonly Uint8Array[]): readonly ImaEntry[] => parseImaLog(concat(...log));

test('a policy from a log accepts that log; violations and SHA-1 digests are left out and named', () => {
  const log = entriesOf(
    aggregate,
    ng('/opt/bin/a', 2),
    ng('/opt/bin/a', 5),
    buffer('.ima', 7),
    violation('/opt/bin/c'),
  );
  const old = entriesOf(imaEntry('ima-ng', [concat(utf8('sha1:\0'), new Uint8Array(20)), named('/opt/bin/old')]));
  const { policy: made, notes } = imaPolicyFromLogs([log, old], { name: 'made', version: '1' });
  assert.deepEqual(made.files, { '/opt/bin/a': [`sha256:${hex(2)}`, `sha256:${hex(5)}`] });
  assert.deepEqual(made.buffers, { '.ima': [`sha256:${hex(7)}`] });
  assert.match(notes.join('\n'), /1 have a SHA-1 digest only.*\/opt\/bin\/old[^]*1 violations/);
  const [found] = new ImaPolicies([openImaPolicy(made)]).judge(log);
  assert.match(
    found?.first.join() ?? '',
    /^IMA entry 4, "\/opt\/bin\/c": it was changed while it was measured \(a violation\)$/,
  );
});

test('a runtime policy of Keylime is imported with its digests, excludes, keyrings, buffers and keys', () => {
  const { key } = signedFile('valid-rsa-2048-sha256');
  const keylime = {
    meta: { version: 1, generator: 0 },
    release: 0,
    digests: { '/opt/bin/a': [hex(2), 'A'.repeat(40)], boot_aggregate: [hex(1)], '/opt/bin/old': ['b'.repeat(40)] },
    excludes: ['/var/log', '^/tmp/x$', '/a|/b'],
    keyrings: { '.ima': [hex(7)] },
    ima: { ignored_keyrings: ['.builtin'], log_hash_alg: 'sha1', dm_policy: null },
    'ima-buf': { 'kexec-cmdline': [hex(8)] },
    'verification-keys': JSON.stringify({
      pubkeys: [Buffer.from(key.key, 'base64url').toString('base64')],
      keyids: [Number.parseInt(key.id, 16)],
    }),
  };
  const { policy: made, notes } = imaPolicyFromKeylime(JSON.stringify(keylime), { name: 'made', version: '1' });
  assert.deepEqual(parseImaPolicy(encodeImaPolicy(made)), made);
  assert.deepEqual(made.files, { '/opt/bin/a': [`sha256:${hex(2)}`] });
  assert.deepEqual(made.keys, [key]);
  assert.deepEqual(made.ignoredBuffers, ['.builtin']);
  assert.match(notes.join('\n'), /\/opt\/bin\/old[^]*boot_aggregate/);
  const open = openImaPolicy(made);
  const excluded = (path: string) => open.excludes.matches(path, { left: 100_000 });
  assert.deepEqual(['/var/log', '/var/log/x', '/tmp/x', '/tmp/xy', '/b/c', '/c'].map(excluded), [
    true,
    true,
    true,
    false,
    true,
    false,
  ]);
  assert.throws(
    () =>
      imaPolicyFromKeylime(JSON.stringify({ ...keylime, excludes: ['(?!x)'] }), { name: 'm', version: '1' }).policy &&
      encodeImaPolicy(
        imaPolicyFromKeylime(JSON.stringify({ ...keylime, excludes: ['(?!x)'] }), { name: 'm', version: '1' }).policy,
      ),
    { code: 'ima-policy-invalid' },
  );
});
