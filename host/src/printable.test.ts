import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { printableCell, printOnly } from './printable.ts';

function printable(text: string): string {
  const written: string[] = [];
  const output = { write: (chunk: string | Uint8Array) => written.push(String(chunk)) > 0 };
  printOnly([output]);
  output.write(text);
  return written.join('');
}

test('what a terminal acts on or hides is written as an escape, and nothing else changes', () => {
  for (const [text, shown] of [
    ['press-7', 'press-7'],
    ['Süd\tHalle 2\nzwei', 'Süd\tHalle 2\nzwei'],
    ['\u001b[2Jgone', String.raw`\u001b[2Jgone`],
    ['a\u009b31mred', String.raw`a\u009b31mred`],
    ['over\rwritten\u0008', String.raw`over\u000dwritten\u0008`],
    ['\u202emoc.evil', String.raw`\u202emoc.evil`],
    ['a\u2066b\u2069\u200b', String.raw`a\u2066b\u2069\u200b`],
    ['\u2028two', String.raw`\u2028two`],
    ['tag \u{e0041}', String.raw`tag \udb40\udc41`],
    ['half \ud800', String.raw`half \ud800`],
    ['می\u200cخواهم 👩\u200d🔧', 'می\u200cخواهم 👩\u200d🔧'],
  ] as const)
    assert.equal(printable(text), shown);
  assert.equal(printableCell('one\ttwo\nthree'), String.raw`one\u0009two\u000athree`);
});

test('JSON keeps its values', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(JSON.stringify({ text }));
      assert.deepEqual(JSON.parse(shown), { text });
      assert.equal(printable(shown), shown);
    }),
  );
});

// SECURITY.md: HUB-102
test('a text is made printable on its way out, and bytes pass as they are', () => {
  const written: (string | Uint8Array)[] = [];
  const output = { write: (chunk: string | Uint8Array) => written.push(chunk) > 0 };
  printOnly([output]);
  output.write('\u001b[31m');
  output.write(Buffer.from('\u001b[K'));
  assert.deepEqual(written, [String.raw`\u001b[31m`, Buffer.from('\u001b[K')]);
});
