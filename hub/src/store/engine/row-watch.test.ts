// The text of a row that the log vouches for is the same in every version: of floating-point numbers it is their bits.
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { readRows, rowText } from './row-watch.ts';

const site = { columns: ['name', 'latitude', 'longitude'], reals: ['latitude', 'longitude'] };

/** The text of the one row with these values, in SQL. */
function textOf(values: string): string {
  using store = new DatabaseSync(':memory:');
  readRows(store);
  store.exec(
    `create table site (name text, latitude real, longitude double precision); insert into site values (${values})`,
  );
  return String(store.prepare(`select ${rowText(site, 'r')} as text from site r`).get()?.['text']);
}

test('a row with floating-point numbers has a fixed text', () => {
  const text = textOf("'plant', 48.208176, -0.1");
  assert.equal(text, 'text:706C616E74,real:40481AA582DBE7F3,real:BFB999999999999A');
});

test('numbers that print alike have different texts, and both zeros have one', () => {
  assert.notEqual(textOf("'a', 0.1, 0"), textOf("'a', 0.10000000000000002, 0"));
  assert.equal(textOf("'a', 0.0, 0"), textOf("'a', -0.0, 0"));
});

test('a value of another type in such a column is its type and bytes', () => {
  assert.equal(textOf("'a', null, 'north'"), 'text:61,null:,text:6E6F727468');
  assert.equal(textOf("'a', x'00', 1e999"), 'text:61,blob:00,real:7FF0000000000000');
});
