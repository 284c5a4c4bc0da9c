import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownRootOf, knownRoots } from './known-makers.ts';
import { authorityProblem, makerOf, signsItself } from './maker-authority.ts';
import { testIssuing, testLinks, testRoot } from './testing-roots.ts';

const period = { notBeforeSeconds: 1_700_000_000, notAfterSeconds: 1_900_000_000 };

test('the roots that are known are 28, each once, by a whole SHA-256', () => {
  assert.equal(knownRoots.length, 28);
  assert.equal(new Set(knownRoots.map(({ sha256 }) => sha256)).size, 28);
  for (const { sha256, maker, name } of knownRoots) {
    assert.match(sha256, /^[0-9a-f]{64}$/);
    assert.deepEqual(knownRootOf(sha256), { sha256, maker, name });
  }
  assert.equal(knownRootOf('00'.repeat(32)), undefined);
});

test('a root signs itself; an authority below it, and one of its name under another key, do not', async () => {
  const root = await testRoot(period);
  assert.equal(signsItself(root.certificate), true);
  assert.equal(signsItself((await testIssuing(root, period)).certificate), false);
  const next = await testRoot(period);
  const { newWithOld } = await testLinks(root, next);
  assert.equal(signsItself(newWithOld), false);
});

test('an authority is taken, and an old root without basicConstraints; a device’s certificate is not', async () => {
  const { certificate } = await testRoot(period);
  assert.equal(authorityProblem(certificate), undefined);
  const bare = { ...certificate.extensions, basicConstraints: undefined, keyUsage: undefined };
  assert.equal(authorityProblem({ ...certificate, version: 1, extensions: bare }), undefined);
  const signing = { ...bare, keyUsage: ['keyCertSign' as const] };
  assert.equal(authorityProblem({ ...certificate, extensions: signing }), undefined);
  assert.match(authorityProblem({ ...certificate, extensions: bare }) ?? '', /is not an authority/);
  const leaf = { ...certificate.extensions, basicConstraints: { authority: false, pathLength: undefined } };
  assert.match(authorityProblem({ ...certificate, extensions: leaf }) ?? '', /is not an authority/);
  const mute = { ...certificate.extensions, keyUsage: ['digitalSignature' as const] };
  assert.match(authorityProblem({ ...certificate, extensions: mute }) ?? '', /may not sign certificates/);
});

test('a maker that is not known is what the certificate says of itself, printable and short', async () => {
  assert.equal(makerOf((await testRoot(period, 'Some Maker')).certificate), 'Some Maker');
  assert.equal(makerOf((await testRoot(period, 'a\u202ec')).certificate), 'a?c');
  assert.equal(makerOf((await testRoot(period, 'x'.repeat(101))).certificate).length, 100);
});
