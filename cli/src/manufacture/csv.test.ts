import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CoreError } from '@edgekeep/core/error';
import { parseCsv } from './csv.ts';

const rows = (text: string) => parseCsv(text).records.map(({ line, fields }) => [line, Object.fromEntries(fields)]);
const broken = (says: RegExp) => (error: unknown) =>
  error instanceof CoreError && error.code === 'encoding-invalid' && says.test(error.message);

test('fields are read with and without quotes, line ends of every kind, and the line they begin on', () => {
  const text = '\uFEFFserial,note\r\nA-1,"one, ""two""\nthree"\r\n\r\nA-2, plain \nA-3,""';
  assert.deepEqual(rows(text), [
    [2, { serial: 'A-1', note: 'one, "two"\nthree' }],
    [5, { serial: 'A-2', note: 'plain' }],
    [6, { serial: 'A-3' }],
  ]);
});

test('what is not a table is refused with its line', () => {
  assert.throws(() => parseCsv(''), broken(/line 1: no header/));
  assert.throws(() => parseCsv('a,b\n1'), broken(/line 2: 1 fields, expected 2/));
  assert.throws(() => parseCsv('a,b\n1,2,3'), broken(/line 2: 3 fields/));
  assert.throws(() => parseCsv('a,a\n1,2'), broken(/twice/));
  assert.throws(() => parseCsv('a\n"1'), broken(/line 2: a quote/));
  assert.throws(() => parseCsv('a\n1"2'), broken(/line 2: a quote/));
  assert.throws(() => parseCsv('a\n"1"2'), broken(/line 2: a quote/));
});

test('a table that is written and read again is the same, for all values of its fields', () => {
  const field = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  fc.assert(
    fc.property(fc.array(fc.tuple(field, field), { minLength: 1, maxLength: 6 }), (table) => {
      const text = ['a,b', ...table.map((row) => row.map(quoted).join(','))].join('\r\n');
      const found = parseCsv(text).records.map(({ fields }) => [fields.get('a'), fields.get('b')]);
      assert.deepEqual(
        found,
        table.map((row) => [...row]),
      );
    }),
  );
});

test('any text is a table or is refused by name, and in time', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', 'a', ' '), maxLength: 300 }), (text) => {
      try {
        parseCsv(text);
      } catch (error) {
        assert.ok(broken(/^line \d+: /)(error), String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});
