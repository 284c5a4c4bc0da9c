import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listText, table } from './table.ts';
import { terminalColumns } from './terminal.ts';
import { textWidth } from './text-width.ts';

const digest = '69054753e0a88cbcbd015b9a18d589462c2697db83e11f89d740752e302311a5';
const why = `PCR 4: an event differs: event 3 is EV_EFI_BOOT_SERVICES_APPLICATION with digest ${digest}`;
const head = ['DEVICE', 'STATE', 'SEEN (UTC)', 'WHY'];
const row = ['press-3', 'active, disabled', '2026-11-30 18:25:00', why];
const widest = (text: string) => Math.max(...text.split('\n').map(textWidth));

test('what goes into a pipe has one line for each row, however long its cells are', () => {
  const lines = table([head, row], undefined).split('\n');
  assert.equal(lines.length, 2);
  assert.ok(lines[1]?.endsWith(why));
});

test('in a terminal of 200, 120 and 80 columns long reasons wrap below their column, and no digest is cut', () => {
  for (const columns of [200, 120]) {
    const text = table([head, row], columns);
    assert.ok(widest(text) <= columns, text);
    assert.ok(text.includes(digest), text);
    const [first = '', ...others] = text.split('\n');
    const at = first.indexOf('WHY');
    for (const line of others) assert.ok(line.length > at, text);
  }
  assert.ok(table([head, row], 80).includes(digest));
});

test('in a terminal of 40 columns each row is lines with the names of the columns, and only a digest is longer than a line', () => {
  const text = table([head, row, ['press-4', 'active', '2026-11-30 18:25:01', '']], 40);
  const lines = text.split('\n');
  assert.deepEqual(lines.slice(0, 3), [
    'press-3',
    '  STATE       active, disabled',
    '  SEEN (UTC)  2026-11-30 18:25:00',
  ]);
  assert.ok(lines.includes('press-4'));
  assert.deepEqual(
    lines.filter((line) => textWidth(line) > 40).map((line) => line.trim()),
    [digest],
  );
  assert.equal(lines.filter((line) => line.includes('WHY')).length, 1);
});

test('a list of names and values wraps its values beside their names', () => {
  const lines = table([['state', 'quarantined: the case was opened and nobody knows by whom']], 40).split('\n');
  assert.deepEqual(lines, ['state  quarantined: the case was opened', '       and nobody knows by whom']);
});

test('columns are as wide as a terminal shows them: wide characters take two, combining ones none', () => {
  assert.deepEqual(['検査機', 'é', 'e\u0301', '한글', '👩‍🔧', '🇫🇮', '© 1', 'ｱ'].map(textWidth), [6, 1, 1, 4, 2, 2, 3, 1]);
  const rows = [
    ['検査機', 'a'],
    ['Pre\u0301sse', 'b'],
    ['presses', 'c'],
  ];
  assert.deepEqual(table(rows, undefined).split('\n').map(textWidth), [10, 10, 10]);
});

test('a text without spaces wraps between its wide characters', () => {
  const text = table([['理由', '検査機の筐体が開けられたため隔離された']], 28);
  assert.ok(widest(text) <= 28, text);
  assert.equal(text.replaceAll(/[ \n]/g, ''), '理由検査機の筐体が開けられたため隔離された');
});

test('a terminal shows the first 100 rows of a list, the number of the others and how to get them; a pipe gets all', () => {
  const rows = Array.from({ length: 145 }, (_, at) => [`press-${at}`, 'active']);
  const names = ['DEVICE', 'STATE'];
  const narrow = '--filter chooses some';
  const shown = listText([names, ...rows], narrow, 80).split('\n');
  assert.equal(shown.filter((line) => line.startsWith('press-')).length, 100);
  assert.match(shown.slice(101).join(' '), /^45 more of 145: --filter chooses some; --json, or a pipe .* has all$/);
  assert.equal(listText([names, ...rows], narrow, undefined).split('\n').length, 146);
  assert.equal(listText([names, ...rows.slice(0, 45)], narrow, 80).split('\n').length, 46);
});

test('control characters in a cell stay in their cell at every width', () => {
  for (const columns of [undefined, 200, 40]) {
    const text = table([head, ['press\n3', '\u001b[2Jactive', 'now', '\u202etxt']], columns);
    assert.ok(!text.includes('\u001b') && !text.includes('\u202e') && text.includes('press\\u000a3'), text);
  }
});

test('an output that is no terminal has no width; a terminal without a size has 80 columns', () => {
  assert.equal(terminalColumns({ isTTY: false, columns: 40 }), undefined);
  assert.equal(terminalColumns({ isTTY: true, columns: 132 }), 132);
  assert.equal(terminalColumns({ isTTY: true, columns: 0 }), 80);
});
