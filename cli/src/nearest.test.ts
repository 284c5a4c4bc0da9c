import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { nearest } from './nearest.ts';
import { verbs } from './verbs.ts';

const names = Object.keys(verbs);

test('one wrong key leads to the verb that was meant', () => {
  const typed = fc.record({
    name: fc.constantFrom(...names),
    at: fc.nat(),
    key: fc.constantFrom('', 'x', '-', ' '),
    kind: fc.constantFrom('replaced', 'added', 'exchanged'),
  });
  fc.assert(
    fc.property(typed, ({ name, at: any, key, kind }) => {
      const at = any % name.length;
      const wrong =
        kind === 'exchanged'
          ? name.slice(0, at) + (name[at + 1] ?? '') + name.charAt(at) + name.slice(at + 2)
          : name.slice(0, at) + key + name.slice(kind === 'added' ? at : at + 1);
      if (!names.includes(wrong)) assert.ok(nearest(wrong, names).includes(name), wrong);
      else assert.deepEqual(nearest(wrong, names), [wrong]);
    }),
  );
});

test('the nearest words come alone, in the order of the list, and far words not at all', () => {
  assert.deepEqual(nearest('lost', ['last', 'list', 'show']), ['last', 'list']);
  assert.deepEqual(nearest('lsit', ['last', 'list']), ['list']);
  assert.deepEqual(nearest('so', ['show']), []);
  assert.deepEqual(nearest('abcdefghijklm', ['abcdefghi']), []);
  assert.deepEqual(nearest('wxyzefghijkl', ['abcdefghijkl']), []);
  assert.deepEqual(nearest('xyzdefghijkl', ['abcdefghijkl']), ['abcdefghijkl']);
  assert.deepEqual(nearest('', ['']), ['']);
  assert.deepEqual(nearest('a'.repeat(1_000_000), names), []);
});
