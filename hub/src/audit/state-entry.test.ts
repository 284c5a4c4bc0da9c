// What the log says of a row, in a form that later versions compare with.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layoutOf, parseLayout, rowDigest } from './state-entry.ts';

test('a row has a fixed digest', () => {
  const text = 'text:706C616E74,real:40481AA582DBE7F3,real:BFB999999999999A';
  assert.equal(rowDigest('site', text), 'l4ZOwrAlh7H7tajRdvIW-BbjBzG1c1XN7gtsQHyrf9g');
});

test('a layout names the columns of floating-point numbers, and one of the version before is read', () => {
  const site = { table: 'site', columns: ['name', 'latitude'], reals: ['latitude'] };
  const person = { table: 'person', columns: ['name'] };
  const text = layoutOf([site, person].map((each) => ({ ...each, absence: 'permits' })));
  assert.deepEqual(parseLayout(text), [site, person]);
  assert.deepEqual(parseLayout('[{"table":"site","columns":["name","latitude"]}]'), [
    { table: 'site', columns: ['name', 'latitude'] },
  ]);
});
