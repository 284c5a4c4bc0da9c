import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compare } from 'semver';
import { modelVersionPattern } from './manifest.ts';
import { compareVersions } from './version-order.ts';

// Semantic Versioning 2.0.0 section 11, its own example included.
const ascending = [
  '0.9.9',
  '1.0.0-alpha',
  '1.0.0-alpha.1',
  '1.0.0-alpha.beta',
  '1.0.0-beta',
  '1.0.0-beta.2',
  '1.0.0-beta.11',
  '1.0.0-rc.1',
  '1.0.0',
  '1.0.1',
  '1.2.0',
  '1.10.0',
  '2.0.0-0',
  '2.0.0-x-y',
  '2.0.0',
];

test('versions are ordered as the specification orders its example', () => {
  for (const [index, version] of ascending.entries()) {
    for (const [other, against] of ascending.entries()) {
      assert.equal(Math.sign(compareVersions(version, against)), Math.sign(index - other), `${version} ${against}`);
    }
  }
});

test('swapping the versions turns the answer round', () => {
  const version = fc
    .tuple(fc.nat(20), fc.nat(20), fc.nat(20), fc.option(fc.constantFrom('0', '1', 'a', 'a.1', 'a.b', 'b-1')))
    .map(([major, minor, patch, label]) => `${major}.${minor}.${patch}${label === null ? '' : `-${label}`}`);
  fc.assert(
    fc.property(version, version, (a, b) => {
      assert.equal(Math.sign(compareVersions(a, b)), 0 - Math.sign(compareVersions(b, a)));
    }),
  );
});

test('npm orders any two versions of a manifest as we do', () => {
  // Longer versions are not read by npm.
  const any = fc.stringMatching(modelVersionPattern).filter((version) => version.length <= 256);
  // Alike, so that the later fields decide.
  const number = fc.constantFrom('0', '1', '9', '10', '999999999');
  const field = fc.oneof(number, fc.constantFrom('a', 'A', 'a1', '1a', '-', '--', 'rc', '-1', '01a'));
  const alike = fc
    .tuple(fc.array(number, { minLength: 3, maxLength: 3 }), fc.array(field, { maxLength: 3 }))
    .map(([core, label]) => [core.join('.'), ...(label.length === 0 ? [] : [label.join('.')])].join('-'));
  const version = fc.oneof(any, alike);
  fc.assert(
    fc.property(version, version, (a, b) => {
      assert.match(a, modelVersionPattern);
      assert.equal(Math.sign(compareVersions(a, b)), compare(a, b));
    }),
    { numRuns: 3_000 },
  );
});
