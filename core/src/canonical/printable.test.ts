import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { cutText, printable, printableInQuotes } from './printable.ts';

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

test('a text is cut between characters, and keeps no half of one', () => {
  assert.equal(cutText('abc', 3), 'abc');
  for (const length of [1, 2, 3, 4]) {
    const cut = cutText('a\u{1f600}b\ud83d', length);
    assert.ok(cut.isWellFormed() && cut.length <= length && cut.startsWith('a'), cut);
  }
});
