import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { withPresentOptions, withPresentVerb } from './former-names.ts';
import { verbs } from './verbs.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const edgekeep = (...words: readonly string[]) => promisify(execFile)(process.execPath, [main, ...words]);

const renamed: readonly (readonly [string, string])[] = [
  ['device wiped', 'device mark-wiped'],
  ['device desire', 'device set-desired'],
  ['authority missing', 'authority pending'],
  ...['create', 'list', 'show', 'token', 'limit', 'disable', 'enable', 'delete'].map(
    (verb) => [`enrolment-group ${verb}`, `enrollment-group ${verb}`] as const,
  ),
];

test('every verb of the version before is a verb of this one, with a warning', () => {
  for (const [former, present] of renamed) {
    const warnings: string[] = [];
    const warn = (name: { readonly former: string }) => void warnings.push(name.former);
    const words = withPresentVerb([...former.split(' '), 'press-7', '--json'], warn);
    assert.deepEqual(words, [...present.split(' '), 'press-7', '--json']);
    assert.ok(Object.hasOwn(verbs, present), present);
    assert.ok(!Object.hasOwn(verbs, former), former);
    assert.equal(warnings.length, 1, former);
  }
});

test('a verb of this version is left alone', () => {
  const words = ['device', 'show', 'wiped', 'enrolment-group'];
  assert.equal(
    withPresentVerb(words, () => assert.fail('a warning')),
    words,
  );
});

test('the option --enrolment-group works where there is the one of this version, with and without "="', async () => {
  for (const verb of ['manufacture batch', 'manufacture device']) {
    const command = await verbs[verb]?.load(verbs);
    assert.ok(command !== undefined);
    const warnings: string[] = [];
    const warn = (name: { readonly former: string }) => void warnings.push(name.former);
    const words = withPresentOptions(command, ['--enrolment-group', 'lot-17', '--enrolment-group=lot-18'], warn);
    assert.deepEqual(words, ['--enrollment-group', 'lot-17', '--enrollment-group=lot-18']);
    assert.deepEqual(warnings, ['--enrolment-group', '--enrolment-group']);
  }
  const other = await verbs['device list']?.load(verbs);
  assert.ok(other !== undefined);
  assert.deepEqual(
    withPresentOptions(other, ['--enrolment-group'], () => assert.fail('a warning')),
    ['--enrolment-group'],
  );
});

test('the warning is on standard error, and the outcome is that of the present verb', async () => {
  const former = await edgekeep('device', 'wiped', '--help');
  const present = await edgekeep('device', 'mark-wiped', '--help');
  assert.equal(former.stdout, present.stdout);
  assert.equal(present.stderr, '');
  assert.equal(
    former.stderr,
    'edgekeep: warning: device wiped is called device mark-wiped now; the former name works in this version and not in the next\n',
  );
});
