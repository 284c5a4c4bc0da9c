import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { printable, printableInQuotes } from './printable.ts';

test('what is not printable ASCII becomes a question mark, and the text is short', () => {
  assert.equal(printable('a\u0000b\u202ec\n\u001b[2J', 300), 'a?b?c??[2J');
  assert.equal(printable('Süd', 300), 'S?d');
  assert.equal(printable('x'.repeat(400), 300).length, 300);
  assert.equal(printableInQuotes(`a"b'c\\d<e>f&g`, 300), 'a?b?c?d?e?f?g');
});

test('any text becomes one line of the printable characters, no longer than asked', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(400), (text, maxLength) => {
      assert.match(printable(text, maxLength), /^[ -~]*$/);
      assert.match(printableInQuotes(text, maxLength), /^[^"'\\<>&]*$/);
      assert.equal(printable(text, maxLength).length, Math.min(text.length, maxLength));
    }),
  );
});
