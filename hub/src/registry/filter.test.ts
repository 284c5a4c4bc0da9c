import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HubError } from '../common/error.ts';
import { conditionOf } from './condition.ts';
import { COMPARISONS_MAX, LISTED_VALUES_MAX, parseFilter } from './filter.ts';
import { anyCharacter } from '@edgekeep/core/testing-text';

const now = 1_800_000_000_000;
const read = (text: string) => conditionOf(parseFilter(text), now);

test('and binds closer than or, and brackets bind closest', () => {
  const shape = (text: string): unknown => {
    const walk = (filter: ReturnType<typeof parseFilter>): unknown =>
      filter.kind === 'comparison' ? filter.selector : [filter.kind, ...filter.of.map(walk)];
    return walk(parseFilter(text));
  };
  assert.deepEqual(shape('a==1;b==2,c==3'), ['any', ['all', 'a', 'b'], 'c']);
  assert.deepEqual(shape('a==1 and b==2 or c==3'), ['any', ['all', 'a', 'b'], 'c']);
  assert.deepEqual(shape('a==1;(b==2,c==3)'), ['all', 'a', ['any', 'b', 'c']]);
});

test('a value is a name, a number, an age or a date, as its field asks', () => {
  assert.deepEqual(read('seenAt=lt=-2h'), {
    kind: 'column',
    column: 'seen_at',
    test: { kind: 'order', ordering: 'below', value: now - 7_200_000 },
  });
  assert.deepEqual(read('enrolledAt>=2026-11-21'), {
    kind: 'column',
    column: 'enrolled_at',
    test: { kind: 'order', ordering: 'at-least', value: Date.UTC(2026, 10, 21) },
  });
  assert.deepEqual(read('reported.cpu.load>0.5'), {
    kind: 'attribute',
    side: 'reported',
    path: 'cpu.load',
    test: { kind: 'order', ordering: 'above', value: 0.5 },
  });
  assert.deepEqual(read('id!=press-*'), {
    kind: 'column',
    column: 'id',
    test: { kind: 'starts-with', start: 'press-', negated: true },
  });
  assert.deepEqual(read('tags.owner=in=(\'a b\',"c\\"d")'), {
    kind: 'tag',
    key: 'owner',
    test: { kind: 'one-of', values: ['a b', 'c"d'], negated: false },
  });
});

test('a text is compared in its one form, whichever spelling the filter has', () => {
  const composed = { kind: 'one-of', values: ['Süd 1'], negated: false };
  for (const text of ['Süd 1', 'Su\u0308d 1', ' Süd\u00a01 ']) {
    assert.deepEqual(read(`tags.hall=='${text}'`), { kind: 'tag', key: 'hall', test: composed });
  }
  assert.deepEqual(read("tags.hall=='Su\u0308d *'"), {
    kind: 'tag',
    key: 'hall',
    test: { kind: 'starts-with', start: 'Süd ', negated: false },
  });
});

test('what can not be meant is refused, and the message names the position', () => {
  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['', 1, /too early/],
    ['id', 3, /too early/],
    ['id==', 5, /too early/],
    ['id=="open', 5, /unclosed quote/],
    ['(id==a', 7, /too early/],
    ['id==a)', 6, /unexpected/],
    ['id==a;;id==b', 7, /unexpected/],
    ['id ~ a', 4, /unexpected/],
    ['state==active;colour==red', 15, /no field colour/],
    ["id=='colour==1';colour==red", 17, /no field colour/],
    ['state==activ', 1, /there are registered/],
    ['tier=in=(tpm,tmp)', 1, /no tier "tmp"/],
    ['id=like=a', 1, /no operator =like=/],
    ['id=in=()', 8, /unexpected/],
    ['id=in=(a,)', 10, /unexpected/],
    ['id=IN=(a)', 3, /no operator =IN=: there are == /],
    ['id=a', 3, /no operator =: there are == /],
    ['id=Foo', 3, /no operator =: /],
    ['id==a AND id==b', 7, /lower case/],
    ['(id==a)and(id==b)', 8, /between two spaces/],
    ['id==or and id==b', 5, /a value or must be in quotes/],
    ['id==a and', 7, /between two spaces/],
    ['id==(a,b)', 1, /takes one value/],
    ['id==*-7', 1, /only at the end/],
    ['id=ex=true', 1, /every device has/],
    ['seenAt==1', 1, /compared with </],
    ['seenAt<yesterday', 1, /unix milliseconds/],
    ['enrolledAt>2026-02-30', 1, /2026-02-30 does not exist/],
    ['enrolledAt>2026-11-31', 1, /does not exist/],
    ['enrolledAt>2026-11-29T24:00Z', 1, /does not exist/],
    ['seenAt<2026-06-30T23:59:60Z', 1, /does not exist/],
    ['seenAt<2025-02-29', 1, /does not exist/],
    ['enabled==maybe', 1, /enabled==true/],
    ['enabled<true', 1, /enabled==true/],
    ['state<active', 1, /== != =in= =out=/],
    ['group<a', 1, /== != =in= =out=/],
    ['tags==a', 1, /no field tags/],
    ['tags.==a', 1, /not a tag's key/],
    ['tags.a.b==c', 1, /not a tag's key/],
    ['reported.a.b.c.d.e.f.g==1', 1, /at most six/],
    ['reported.a..b==1', 1, /at most six/],
    ['tags.a=ex=maybe', 1, /=ex=true/],
    ['online==true', 1, /seenAt/],
    ['__proto__==1', 1, /no field/],
    ['constructor==1', 1, /no field/],
    ['toString==1', 1, /no field/],
  ];
  for (const [text, position, why] of refused) {
    assert.throws(
      () => read(text),
      (error) =>
        error instanceof HubError &&
        error.code === 'request-invalid' &&
        why.test(error.message) &&
        error.message.includes(`position ${position}:`),
      text,
    );
  }
});

// The shapes of the public parser's own test cases.
test('the public grammar is read as its parser reads it', () => {
  const tree = (text: string): unknown => {
    const walk = (filter: ReturnType<typeof parseFilter>): unknown =>
      filter.kind === 'comparison'
        ? [filter.selector, filter.operator, ...filter.values]
        : { [filter.kind]: filter.of.map(walk) };
    return walk(parseFilter(text));
  };
  const value = (text: string) => tree(`sel==${text}`);
  const symbols = { '=': 'equal', '!': 'unequal', '>': 'above', '<': 'below' } as const;
  assert.deepEqual(tree('sel==val'), ['sel', symbols['='], 'val']);
  for (const [text, operator] of [
    ['=gt=', 'above'],
    ['>', 'above'],
    ['=ge=', 'at-least'],
    ['>=', 'at-least'],
    ['=lt=', 'below'],
    ['<', 'below'],
    ['=le=', 'at-most'],
    ['<=', 'at-most'],
    ['!=', 'unequal'],
    ['=in=', 'in'],
    ['=out=', 'out'],
  ])
    assert.deepEqual(tree(`sel${text}val`), ['sel', operator, 'val'], text);
  for (const selector of [
    'north-by',
    'a.dotted.path',
    'a/slashed/path',
    'x:a/x:b',
    'name::Of',
    '$odd_one.way',
    'and',
    'or',
  ])
    assert.deepEqual(tree(`${selector}==val`), [selector, 'equal', 'val']);
  for (const word of ['«north»', 'm@il', '*star*', 'té*st', '42', '0.15', '3:15', 'a\\b', 'and'])
    assert.deepEqual(value(word), ['sel', 'equal', word]);
  for (const [quoted, text] of [
    ['"two words!"', 'two words!'],
    ["'čtyři slova'", 'čtyři slova'],
    [`"it's *"`, "it's *"],
    [`"a)'b'(c"`, "a)'b'(c"],
    ['"6*7=42"', '6*7=42'],
    [String.raw`'10\' 15"'`, `10' 15"`],
    [String.raw`'10\' 15\"'`, `10' 15"`],
    [String.raw`'a\\ \'b\c\''`, String.raw`a\ 'bc'`],
    [String.raw`"10' 15\""`, `10' 15"`],
    [String.raw`"\\(x)/"`, String.raw`\(x)/`],
    ['""', ''],
  ])
    assert.deepEqual(value(quoted ?? ''), ['sel', 'equal', text]);
  for (const reserved of `"'();,=<>!~ `) {
    assert.throws(() => parseFilter(`sel==ill${reserved}ness`), HubError, reserved);
    if (reserved !== ' ') assert.throws(() => parseFilter(`ill${reserved}==val`), HubError, reserved);
  }
  assert.deepEqual(tree(' sel == val '), ['sel', 'equal', 'val']);
  assert.deepEqual(tree(`s=in=(one,'two!', "it's", ")o(")`), ['s', 'in', 'one', 'two!', "it's", ')o(']);
  assert.deepEqual(tree('s=out=one'), ['s', 'out', 'one']);
  assert.deepEqual(tree('s==(one)'), ['s', 'equal', 'one']);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => [name, 'equal', '1']);
  for (const and of [';', ' and ', '  and  ', ' ; ']) assert.deepEqual(tree(`a==1${and}b==1`), { all: [a, b] }, and);
  for (const or of [',', ' or ', ' , ']) assert.deepEqual(tree(`a==1${or}b==1`), { any: [a, b] }, or);
  assert.deepEqual(tree('a==1,b==1;c==1'), { any: [a, { all: [b, c] }] });
  assert.deepEqual(tree('(a==1,b==1);c==1'), { all: [{ any: [a, b] }, c] });
  assert.deepEqual(tree('((a==1));b==1'), { all: [a, b] });
});

test('a filter is bounded in length, comparisons and listed values', () => {
  const many = (count: number) => Array.from({ length: count }, () => 'id==a').join(';');
  assert.equal(parseFilter(many(COMPARISONS_MAX)).kind, 'all');
  assert.throws(() => parseFilter(many(COMPARISONS_MAX + 1)), { code: 'request-invalid' });
  const list = (count: number) => `id=in=(${Array.from({ length: count }, () => 'a').join(',')})`;
  assert.equal(parseFilter(list(LISTED_VALUES_MAX)).kind, 'comparison');
  assert.throws(() => parseFilter(list(LISTED_VALUES_MAX + 1)), { code: 'request-invalid' });
  assert.throws(() => parseFilter(`id==${'a'.repeat(2_100)}`), { code: 'request-invalid' });
  assert.equal(parseFilter(`${'('.repeat(900)}id==a${')'.repeat(900)}`).kind, 'comparison');
});

test('no text makes the reader throw anything but a HubError', () => {
  const piece = fc.constantFrom(
    'id',
    'state',
    'tags.a',
    'reported.a.b',
    'seenAt',
    'group',
    'enabled',
    '==',
    '!=',
    '=in=',
    '=ex=',
    '<',
    '>=',
    '=',
    '!',
    '~',
    ';',
    ',',
    ' and ',
    ' or ',
    '(',
    ')',
    '"',
    "'",
    '\\',
    ' ',
    '*',
    'active',
    '-2h',
    '1e400',
    '%',
    '_',
    "'; drop table device; --",
  );
  const almost = fc.array(piece, { maxLength: 24 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(almost, fc.string({ unit: anyCharacter, maxLength: 200 })), (text) => {
      try {
        read(text);
      } catch (error) {
        assert.ok(error instanceof HubError, String(error));
      }
    }),
    { numRuns: 5_000 },
  );
});
