import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { matchBoot } from './boot-match.ts';
import { parseEventLog } from './event-log.ts';
import {
  encodeReferenceValues,
  parseReferenceValues,
  type ReferenceEvent,
  type ReferenceValues,
  referenceValuesFromLog,
} from './reference-values.ts';
import { replayEventLog } from './replay.ts';
import { cryptoAgileLog, type TestEvent, testEvent, testPcrs, uefiBoot } from './testing.ts';
import { vectorsOf } from './testing-vectors.ts';

const valid = z.object({ comment: z.string(), document: z.string(), quotedPcrs: z.array(z.number()) });
const invalid = valid.extend({ code: z.string() });

describe('reference value vectors', () => {
  for (const vector of vectorsOf('reference-values', 'valid', valid)) {
    test(`valid/${vector.file} is read and written back byte for byte: ${vector.comment}`, () => {
      const values = parseReferenceValues(utf8(vector.document), vector.quotedPcrs);
      assert.equal(Buffer.from(encodeReferenceValues(values)).toString(), vector.document);
    });
  }
  for (const vector of vectorsOf('reference-values', 'invalid', invalid)) {
    test(`invalid/${vector.file} is refused: ${vector.comment}`, () => {
      assert.throws(
        () => parseReferenceValues(utf8(vector.document), vector.quotedPcrs),
        (error) => error instanceof CoreError && error.code === vector.code,
      );
    });
  }
});

const replay = (events: readonly TestEvent[]) => replayEventLog(parseEventLog(cryptoAgileLog(events)), 'sha256');
const golden = (events: readonly TestEvent[], version = '1.0.0') =>
  referenceValuesFromLog(parseEventLog(cryptoAgileLog(events)), testPcrs, 'line', version);
const stages = ['a', 'b', 'c', 'd'].map((name) => testEvent(14, 0xd, name));
const [a, b, c, d] = stages.map((stage) => golden([stage]).events[0]);
const setOf = (...events: readonly (ReferenceEvent | undefined)[]): ReferenceValues => {
  return { ...golden(uefiBoot), events: events.filter((event) => event !== undefined) };
};
const optional = (event: ReferenceEvent | undefined): ReferenceEvent | undefined =>
  event === undefined ? undefined : { ...event, optional: true };

function firstReason(log: string, ...sets: readonly ReferenceValues[]) {
  const events = log.split('').map((name) => testEvent(14, 0xd, name));
  const match = matchBoot(replay([testEvent(4, 0xd, 'loader'), ...events]), sets, testPcrs);
  return match?.reasons[0];
}

test('the golden log matches its own reference values', () => {
  assert.deepEqual(matchBoot(replay(uefiBoot), [golden(uefiBoot)], testPcrs)?.reasons, []);
});

test('the first event that differs is named with PCR, index, type, description and both digests', () => {
  const reason = firstReason('axc', setOf(a, b, c));
  assert.equal(reason?.code, 'event-differs');
  assert.equal(reason?.pcr, 14);
  assert.deepEqual(reason?.event, {
    index: 3,
    type: 'EV_IPL',
    description: 'x',
    digest: '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
  });
  assert.deepEqual(reason?.expected, { name: 'b', type: 'EV_IPL', digests: b?.digests });
});

test('an event that was left out is named as missing, not as a different one', () => {
  assert.equal(firstReason('ac', setOf(a, b, c))?.code, 'event-missing');
  assert.equal(firstReason('ac', setOf(a, b, c))?.expected?.name, 'b');
  assert.equal(firstReason('ab', setOf(a, b, c))?.code, 'event-missing');
  assert.equal(firstReason('', setOf(a))?.code, 'event-missing');
});

test('an event that was put in is named as extra', () => {
  assert.equal(firstReason('axb', setOf(a, b))?.code, 'event-extra');
  assert.equal(firstReason('axb', setOf(a, b))?.event?.description, 'x');
  assert.equal(firstReason('abx', setOf(a, b))?.code, 'event-extra');
});

test('events in another order do not match', () => {
  assert.notEqual(firstReason('ba', setOf(a, b)), undefined);
});

test('an optional event may be there or not, and nothing else may be in its place', () => {
  const set = setOf(a, optional(b), c);
  assert.equal(firstReason('abc', set), undefined);
  assert.equal(firstReason('ac', set), undefined);
  assert.notEqual(firstReason('axc', set), undefined);
  assert.notEqual(firstReason('abbc', set), undefined);
  assert.equal(firstReason('a', setOf(optional(a), a)), undefined);
  assert.equal(firstReason('aad', setOf(optional(a), optional(a), a, d)), undefined);
});

test('the same digest under another event type does not match', () => {
  assert.equal(firstReason('a', setOf(a === undefined ? undefined : { ...a, eventType: 4 }))?.code, 'event-differs');
});

test('of several sets the one that matches is taken, else the one that comes closest', () => {
  const sets = [setOf(a, b, c), { ...setOf(a, d), version: '2.0.0' }];
  const boot = (log: string) =>
    matchBoot(replay(log.split('').map((name) => testEvent(14, 0xd, name))), sets, testPcrs);
  assert.equal(boot('ad')?.reasons.length, 0);
  assert.equal(boot('ad')?.referenceValues.version, '2.0.0');
  assert.equal(boot('abx')?.referenceValues.version, '1.0.0');
});

test('a PCR with reference values that is not quoted is a mismatch', () => {
  const match = matchBoot(replay(uefiBoot), [golden(uefiBoot)], [0, 4]);
  assert.ok(match?.reasons.every(({ code }) => code === 'pcr-not-quoted'));
  assert.ok((match?.reasons.length ?? 0) > 0);
});

test('deriving reference values for PCRs the log never extends is refused', () => {
  assert.throws(() => referenceValuesFromLog(parseEventLog(cryptoAgileLog(uefiBoot)), [12], 'line', '1.0.0'), {
    code: 'reference-values-invalid',
  });
});
