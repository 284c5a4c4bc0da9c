// The appendix of SECURITY.md: each threat has its tests, and docs/security-tests.md lists them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { appendix, claims, claimsIn, threatsIn } from '../scripts/security-tests.ts';

const root = dirname(import.meta.dirname);
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const threats = threatsIn(read('SECURITY.md'));

test('docs/security-tests.md is what scripts/security-tests.ts writes', () => {
  assert.equal(
    read('docs/security-tests.md'),
    appendix(threats, claims()),
    'run `node scripts/security-tests.ts` and commit the page',
  );
});

test('every threat of SECURITY.md has an id of its own and a test, or says that it has none', () => {
  assert.ok(threats.length > 100, `found ${threats.length}`);
  const ids = threats.map(({ id }) => id);
  assert.deepEqual(
    ids.filter((id, index) => ids.indexOf(id) !== index),
    [],
  );
  const shown = new Set(claims().flatMap((claim) => claim.ids));
  const silent = threats.filter(
    ({ id, mitigation }) => !shown.has(id) && !/\*\*(No test yet|Accepted)\*\*/.test(mitigation),
  );
  assert.deepEqual(silent, []);
});

test('every comment of a test names a threat that exists', () => {
  const ids = new Set(threats.map(({ id }) => id));
  const unknown = claims().filter((claim) => claim.ids.some((id) => !ids.has(id)));
  assert.deepEqual(unknown, []);
});

test('every comment that begins as a claim is read as one', () => {
  const text =
    "// SECURITY.md: DEV-01, HUB-02\ntest('a sentence', () => {});\n  // SECURITY.md: NET-03\n  systemTest(\n    `of ${kind}`,\n";
  assert.deepEqual(claimsIn(text), [
    { ids: ['DEV-01', 'HUB-02'], title: 'a sentence' },
    { ids: ['NET-03'], title: 'of …' },
  ]);
  const files = [...new Set(claims().map(({ file }) => file))];
  const lost = files.filter(
    (file) => (read(file).match(/^\s*\/\/ SECURITY\.md:/gm) ?? []).length !== claimsIn(read(file)).length,
  );
  assert.deepEqual(lost, []);
});
