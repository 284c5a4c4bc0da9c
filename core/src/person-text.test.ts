// Text of people, as editors and shells write it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { personBytes, personText } from './person-text.ts';

test('a byte-order mark of UTF-8 is no part of the text', () => {
  assert.equal(personText(Buffer.from('\ufeff{"a":1}'), 'file'), '{"a":1}');
  assert.equal(personText(Buffer.from('{"a":"\ufeff"}'), 'file'), '{"a":"\ufeff"}');
  assert.equal(personText(Buffer.from('é'), 'file'), 'é');
  assert.deepEqual(personBytes(Buffer.from('ab'), 'file'), Buffer.from('ab'));
});

test('other encodings, and files that lost their content, are named', () => {
  const wide = Buffer.from('{"a":1}', 'utf16le');
  const swapped = Buffer.from(wide).swap16();
  const mark = (...bytes: readonly number[]) => Buffer.from(bytes);
  for (const [bytes, said] of [
    [wide, /^file is UTF-16: save it as UTF-8$/],
    [swapped, /^file is UTF-16/],
    [Buffer.concat([mark(0xff, 0xfe), wide]), /^file is UTF-16/],
    [Buffer.concat([mark(0xfe, 0xff), swapped]), /^file is UTF-16/],
    [mark(0xff, 0xfe, 0, 0, 0x7b, 0, 0, 0), /^file is UTF-32/],
    [mark(0, 0, 0xfe, 0xff, 0, 0, 0, 0x7b), /^file is UTF-32/],
    [mark(), /^file is empty/],
    [Buffer.alloc(64), /^file holds zeros only/],
    [mark(0x7b, 0xe9, 0x7d), /^file: not valid UTF-8/],
  ] as const)
    assert.throws(() => personText(bytes, 'file'), { code: 'encoding-invalid', message: said });
});
