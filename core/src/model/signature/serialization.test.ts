import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CoreError } from '../../error.ts';
import {
  comparePaths,
  compareResourceNames,
  encodeResourceName,
  isIgnored,
  parseResourceName,
  shardRanges,
} from './serialization.ts';
import { anyCharacter } from '../../testing-text.ts';

const part = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((text) => {
  return !text.includes('/') && !text.includes('\0') && text !== '.' && text !== '..' && text.isWellFormed();
});
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

test('paths are sorted by component: a folder comes before a file whose name goes on with "-" or "."', () => {
  const sorted = ['a-b/x', 'a.txt', 'a/x', 'b', 'a'].sort(comparePaths);
  deepEqual(sorted, ['a', 'a/x', 'a-b/x', 'a.txt', 'b']);
});

test('paths are sorted by code point, not by UTF-16 unit', () => {
  deepEqual(['\u{1f600}', '\uff5e'].sort(comparePaths), ['\uff5e', '\u{1f600}']);
});

test('path order is total: antisymmetric, transitive, equal only for equal paths', () => {
  fc.assert(
    fc.property(path, path, path, (a, b, c) => {
      equal(Math.sign(comparePaths(a, b)), -Math.sign(comparePaths(b, a)) + 0);
      equal(comparePaths(a, b) === 0, a === b);
      if (comparePaths(a, b) <= 0 && comparePaths(b, c) <= 0) equal(comparePaths(a, c) <= 0, true);
    }),
  );
});

test('the files below a folder are next to each other', () => {
  fc.assert(
    fc.property(fc.array(path, { maxLength: 20 }), part, (paths, folder) => {
      const sorted = [...paths, `${folder}/1`, `${folder}/2`].sort(comparePaths);
      const below = sorted.map((one) => one.startsWith(`${folder}/`));
      equal(below.lastIndexOf(true) - below.indexOf(true) + 1, below.filter(Boolean).length);
    }),
  );
});

test('shards of one file are sorted by number, not as text', () => {
  const names = ['w:8:16', 'w:16:24', 'w:0:8'].map((name) => parseResourceName(name, true));
  deepEqual(names.sort(compareResourceNames).map(encodeResourceName), ['w:0:8', 'w:8:16', 'w:16:24']);
});

test('parsing an encoded resource name gives it back', () => {
  const range = fc
    .tuple(fc.nat(), fc.integer({ min: 1, max: 1 << 30 }))
    .map(([start, length]) => ({ start, end: start + length }));
  fc.assert(
    fc.property(path, fc.option(range, { nil: undefined }), (name, bytes) => {
      const resource = { path: name, range: bytes };
      deepEqual(parseResourceName(encodeResourceName(resource), bytes !== undefined), resource);
    }),
  );
});

test('any text is a resource name or a CoreError', () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter }), fc.boolean(), (text, shards) => {
      try {
        parseResourceName(text, shards);
      } catch (error) {
        equal(error instanceof CoreError, true);
      }
    }),
  );
});

test('shards cover a file without gap or overlap', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.integer({ min: 1, max: 3000 }), (size, shardSize) => {
      const ranges = shardRanges(size, shardSize);
      equal(
        ranges.reduce((end, range) => (range.start === end ? range.end : -1), 0),
        size,
      );
      equal(
        ranges.slice(0, -1).every(({ start, end }) => end - start === shardSize),
        true,
      );
    }),
  );
});

test('an ignored path takes what lies below it along, and nothing that only begins alike', () => {
  equal(isIgnored('cache/x/y', ['cache']), true);
  equal(isIgnored('cache', ['./cache/']), true);
  equal(isIgnored('cache-2/x', ['cache']), false);
  equal(isIgnored('sub/cache', ['cache']), false);
});

test('an ignored path that names no place inside ignores nothing', () => {
  for (const entry of ['', '.', './', '/', '..', '../cache', '/cache']) equal(isIgnored('cache/x', [entry]), false);
});

test('a shard that ends before it begins is refused', () => {
  throws(() => parseResourceName('w:8:8', true), { code: 'model-path-invalid' });
});
