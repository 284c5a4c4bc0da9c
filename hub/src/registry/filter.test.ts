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
    ['id=in=a', 1, /takes a list/],
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
