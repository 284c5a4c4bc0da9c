import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import { HubError } from '../common/error.ts';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import type { DeviceRow } from '../store/tables/registry.ts';
import { conditionOf } from './condition.ts';
import { parseFilter } from './filter.ts';
import { countDevices, queryDevices } from './list.ts';
import { endOfPrefix, expressionOf } from './statement.ts';
import { anyCharacter } from '@edgekeep/core/testing-text';

// More than are sorted in memory, so that both ways of finding a page are used.
const count = 2_600;
const nowMs = 1_800_000_000_000;
const numbers = Array.from({ length: count }, (_, number) => number);
const idOf = (number: number) => `device-${String(number).padStart(4, '0')}`;
const seenOf = (number: number) => nowMs - ((number * 37) % 500) * 1_000;

let folder = '';
let database: Database;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-registry-'));
  database = await Database.open(await storePlace(folder));
  for (let from = 0; from < count; from += 200) {
    const some = numbers.slice(from, from + 200);
    await database.write(async (trx) => {
      await trx.insertInto('device').values(some.map(deviceRow)).execute();
      const tags = some.flatMap((number) => [
        { device_id: idOf(number), key: 'parity', value: number % 2 === 0 ? 'even' : 'odd' },
        ...(number % 13 === 0 ? [{ device_id: idOf(number), key: 'rare', value: `r${number % 26}` }] : []),
      ]);
      await trx.insertInto('device_tag').values(tags).execute();
      const leaves = some.map((number) => ({
        device_id: idOf(number),
        side: 'reported' as const,
        path: 'a.b',
        text_value: String(number),
        number_value: number,
      }));
      await trx.insertInto('device_attribute').values(leaves).execute();
    });
  }
});
after(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function deviceRow(number: number): DeviceRow {
  return {
    id: idOf(number),
    tier: 'software',
    state: number % 10 === 0 ? 'suspect' : 'active',
    state_reason: '',
    identity: '{}',
    root_sha256: String(number),
    witness_key: '',
    enrolled_at: nowMs - number,
    seen_at: seenOf(number),
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  };
}

/** Comparisons, and their meaning in plain code. */
const parts: readonly (readonly [string, (number: number) => boolean])[] = [
  ['tags.parity==even', (n) => n % 2 === 0],
  ['tags.parity!=even', (n) => n % 2 !== 0],
  ['tags.parity=ex=true', () => true],
  ['tags.rare=ex=true', (n) => n % 13 === 0],
  ['tags.rare=ex=false', (n) => n % 13 !== 0],
  ['tags.rare==r1*', (n) => n % 13 === 0 && `r${n % 26}`.startsWith('r1')],
  ['tags.rare=out=(r0,r13)', (n) => n % 13 !== 0],
  ['state==suspect', (n) => n % 10 === 0],
  ['reported.a.b<100', (n) => n < 100],
  ['reported.a.b>=100', (n) => n >= 100],
  ['reported.a=ex=true', () => true],
  ['reported.a.b==7', (n) => n === 7],
  ['seenAt>-100s', (n) => seenOf(n) > nowMs - 100_000],
  ['id==device-00*', (n) => n < 100],
  ['id!=device-0007', (n) => n !== 7],
  ['enabled==true', () => true],
];

test('every filter and sort gives, page by page, exactly what plain code gives', async () => {
  const part = fc.constantFrom(...parts);
  const sorts = fc.constantFrom('id', '-id', 'seenAt', '-seenAt', 'state', '-enrolledAt');
  await fc.assert(
    fc.asyncProperty(part, part, part, sorts, async ([a, isA], [b, isB], [c, isC], sort) => {
      const filter = `${a};(${b},${c})`;
      const expected = numbers.filter((n) => isA(n) && (isB(n) || isC(n))).map(idOf);
      const found: string[] = [];
      for (let next: string | null = ''; next !== null;) {
        const page: Awaited<ReturnType<typeof queryDevices>> = await queryDevices(database.read, {
          filter,
          sort,
          after: next,
          limit: 1_000,
          nowMs,
        });
        found.push(...page.devices.map(({ id }) => id));
        next = page.next;
      }
      assert.deepEqual(found.toSorted(), expected);
      assert.deepEqual(found, inOrder(found, sort));
      assert.equal(await countDevices(database.read, filter, nowMs), expected.length);
    }),
    { numRuns: 40 },
  );
});

function inOrder(ids: readonly string[], sort: string): readonly string[] {
  const field = sort.replace('-', '');
  const keyOf = (id: string): string => {
    const number = Number(id.slice(-4));
    if (field === 'seenAt') return String(seenOf(number));
    if (field === 'enrolledAt') return String(nowMs - number);
    return field === 'state' ? deviceRow(number).state : '';
  };
  const ascending = ids.map((id) => `${keyOf(id)} ${id}`).toSorted();
  return (sort.startsWith('-') ? ascending.toReversed() : ascending).map((text) => text.split(' ')[1] ?? '');
}

test('nothing that a caller writes becomes part of the SQL', () => {
  const compile = (text: string) => {
    const condition = conditionOf(parseFilter(text), nowMs);
    return database.read
      .selectFrom('device')
      .select('id')
      .where((eb) => expressionOf({ eb, db: database.read, groups: new Map(), found: 'by-condition' }, condition))
      .compile();
  };
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter, minLength: 1, maxLength: 40 }), (text) => {
      const quoted = `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('*', '')}"`;
      const plain = compile('id==x,tags.k==x,reported.p==x,group==x');
      const wild = compile(`id==${quoted},tags.k==${quoted},reported.p==${quoted},group==${quoted}`);
      assert.equal(wild.sql, plain.sql);
    }),
  );
});

test('no filter, sort or cursor makes the store throw anything but a HubError', async () => {
  const word = fc.oneof(
    fc.constantFrom('id', '-seenAt', 'state', 'active.device-0001', 'device-0001'),
    fc.string({ maxLength: 30 }),
  );
  const piece = fc.constantFrom(
    'id',
    'tags.a',
    'seenAt',
    '==',
    '<',
    ';',
    ',',
    '(',
    ')',
    '"',
    'a',
    '-2h',
    '99999999999999999999',
    '*',
  );
  const filters = fc.array(piece, { maxLength: 12 }).map((all) => all.join(''));
  await fc.assert(
    fc.asyncProperty(filters, word, word, async (filter, sort, from) => {
      try {
        await queryDevices(database.read, { filter, sort, after: from, limit: 2, nowMs });
      } catch (error) {
        assert.ok(error instanceof HubError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});

test('the end of a prefix is the first text behind all that begin with it', () => {
  assert.equal(endOfPrefix('press-'), 'press.');
  assert.equal(endOfPrefix('a\u{10ffff}'), 'b');
  assert.equal(endOfPrefix('\ud7ff'), '\ue000');
  assert.equal(endOfPrefix('\u{10ffff}'), undefined);
  assert.equal(endOfPrefix(''), undefined);
});
