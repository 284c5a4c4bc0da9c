import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renameFormer } from './former-names.ts';

const names = {
  requestsMost: 'maxRequests',
  'guard.probeMax': 'guard.maxProbe',
  'enrolment.token': 'enrollment.token',
};
const read = (value: unknown) => renameFormer(value, names);

test('members get their present names, in groups and groups themselves', () => {
  const { value, found, doubled } = read({
    requestsMost: 5,
    guard: { probeMax: 1, other: 2 },
    enrolment: { token: false },
    names: ['a'],
  });
  assert.deepEqual(value, {
    maxRequests: 5,
    guard: { maxProbe: 1, other: 2 },
    enrollment: { token: false },
    names: ['a'],
  });
  assert.deepEqual(
    found.map(({ former }) => former),
    ['requestsMost', 'guard.probeMax', 'enrolment.token'],
  );
  assert.deepEqual(doubled, []);
});

test('a value in present names stays as it is', () => {
  const value = { maxRequests: 5, guard: { maxProbe: 1 } };
  assert.deepEqual(read(value), { value, found: [], doubled: [] });
});

test('a name that is given in both spellings is said, and neither value is lost', () => {
  const value = { guard: { probeMax: 1, maxProbe: 2 } };
  assert.deepEqual(read(value), {
    value,
    found: [],
    doubled: [{ former: 'guard.probeMax', present: 'guard.maxProbe' }],
  });
});

test('a member of a former group that has no present name stays where it is, to be refused by its own name', () => {
  const { value } = read({ enrolment: { token: true, misspelt: 1 } });
  assert.deepEqual(value, { enrolment: { misspelt: 1 }, enrollment: { token: true } });
});

test('a value that is not an object is returned unchanged', () => {
  for (const value of [undefined, null, 7, 'requestsMost', ['requestsMost'], { guard: 7 }, { guard: null }])
    assert.deepEqual(read(value), { value, found: [], doubled: [] });
});

test('names of every object, such as __proto__, are members and nothing else', () => {
  const value: unknown = JSON.parse('{"requestsMost":1,"__proto__":{"maxRequests":2}}');
  assert.deepEqual(JSON.stringify(read(value).value), '{"__proto__":{"maxRequests":2},"maxRequests":1}');
});
