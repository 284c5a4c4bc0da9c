import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { PathPatterns } from './ima-path-pattern.ts';

const budget = () => ({ left: 10_000_000 });
const matches = (pattern: string, path: string) => new PathPatterns([pattern]).matches(path, budget());

test('a pattern matches the whole path, as a regular expression between ^ and $ does', () => {
  const patterns = [
    '/var/log/.*',
    '^/tmp/[a-z0-9_-]+\\.tmp$',
    '/srv/(bin|sbin)/.+',
    '/home/\\w+/\\.cache(/.*)?',
    '/a{2}/b{1,3}/c{2,}',
    '/run/(?:[^/]*/)*x',
    '.*\\.py[co]?',
    '/x|/y/z',
    '/a\\d{3}',
  ];
  const paths = [
    '/var/log/',
    '/var/log/syslog',
    '/var/lo',
    '/x/var/log/a',
    '/tmp/ab-1.tmp',
    '/tmp/ab-1xtmp',
    '/srv/bin/a',
    '/srv/sbin/',
    '/home/ada/.cache',
    '/home/ada/.cache/x',
    '/home/ada/.cachex',
    '/aa/bbb/cc',
    '/aa/bbbb/cc',
    '/aa/b/ccccc',
    '/run/x',
    '/run/a/b/x',
    '/m.py',
    '/m.pyc',
    '/x',
    '/y/z',
    '/x/y/z',
    '/a123',
    '/a12',
  ];
  for (const pattern of patterns) {
    const oracle = new RegExp(`^(?:${pattern})$`, 's');
    for (const path of paths) assert.equal(matches(pattern, path), oracle.test(path), `${pattern} on ${path}`);
  }
});

test('any pattern of the syntax agrees with the regular expression of the same text', () => {
  const leaf = fc.constantFrom('a', 'b', '/', '.', '[ab]', '[^a]', '\\.', '\\d', '[a-c]');
  const { pattern } = fc.letrec<{ pattern: string; part: string }>((tie) => ({
    part: fc.oneof(
      { depthSize: 'small' },
      leaf,
      tie('pattern').map((inner) => `(${inner})`),
    ),
    pattern: fc
      .array(fc.tuple(tie('part'), fc.constantFrom('', '*', '+', '?', '{2}', '{0,2}', '{1,}')), {
        minLength: 1,
        maxLength: 4,
      })
      .map((parts) => parts.map(([part, times]) => part + times).join(''))
      .chain((one) => fc.constantFrom(one, `${one}|a`, `b|${one}`)),
  }));
  const path = fc.array(fc.constantFrom('a', 'b', 'c', '/', '.', '1'), { maxLength: 8 }).map((each) => each.join(''));
  fc.assert(
    fc.property(pattern, path, (text, found) => {
      assert.equal(matches(text, found), new RegExp(`^(?:${text})$`, 's').test(found));
    }),
    { numRuns: 500 },
  );
});

test('what needs to try twice, or is not in the syntax, is refused', () => {
  const refused = [
    '(a)\\1',
    '(?=a)',
    '(?<x>a)',
    'a**',
    'a+?',
    '[',
    '[a',
    '(a',
    'a)',
    'a{65}',
    'a{3,2}',
    '\\b',
    'a{',
    '',
    'x'.repeat(513),
  ];
  for (const pattern of [...refused, '(((a{64}){64}){64})']) {
    assert.throws(() => new PathPatterns([pattern]), { code: 'ima-policy-invalid' }, pattern);
  }
});

// SECURITY.md: DEV-93
test('20,000 paths of a device that chooses their characters take a bounded number of steps', () => {
  // A fixed sequence (minimal standard generator).
  let state = 7;
  const random = () => (state = (state * 48_271) % 2_147_483_647);
  const hostile = (any: number) => Array.from({ length: 60 }, () => String.fromCharCode(random() % any)).join('');
  for (const pattern of ['/data/.{1,64}', '/data/[^/]{1,64}', '/data/\\w{2,64}.*']) {
    const patterns = new PathPatterns([pattern]);
    const left = { left: 1_000_000 };
    for (let at = 0; at < 20_000; at += 1) patterns.matches(`/data/${hostile(65_536)}`, left);
    const used = 1_000_000 - left.left;
    assert.ok(used > 0 && used < 100_000, `${pattern}: ${used}`);
  }
});

test('a path made for a slow match is read once, and a budget that is used up matches nothing', () => {
  const slow = new PathPatterns(['(a|a)*b', '(a*)*c', '([a-z]+)+!']);
  const left = { left: 2_000_000 };
  assert.equal(slow.matches('a'.repeat(4_000), left), false);
  assert.ok(left.left > 1_900_000, `${left.left}`);
  assert.equal(new PathPatterns(['.*']).matches('/x', { left: 0 }), false);
  assert.equal(new PathPatterns(['.*']).matches('x'.repeat(4_097), budget()), false);
});

test('a loop of nodes that take no character ends in every round, however many there were before', () => {
  // Each path leads through sets of nodes that none before it reached.
  const pattern = '/((a*)*|(b*)*)*a(a|b){12}';
  const patterns = new PathPatterns([pattern]);
  const expected = new RegExp(`^${pattern}$`);
  let random = 1;
  const letter = () => {
    random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
    return random % 65_536 < 32_768 ? 'a' : 'b';
  };
  for (let times = 0; times < 20; times += 1) {
    const path = `/${Array.from({ length: 18 }, letter).join('')}`;
    assert.equal(patterns.matches(path, budget()), expected.test(path), path);
  }
});
