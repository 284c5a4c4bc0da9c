import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { concat, parseHex, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeEvent, encodeEventLogHeader, encodeSha1Event, EVENT_LOG_BYTES_MAX, parseEventLog } from './event-log.ts';
import { describeEventData } from './event-data/describe.ts';
import { eventTypeName } from './event-type.ts';
import { pcrValue, replayBanks, replayEventLog } from './replay.ts';
import { cryptoAgileLog, uefiBoot, uefiVariable } from './testing.ts';
import { vectorsOf } from './testing-vectors.ts';

const pcrs = z.record(z.string(), z.record(z.string(), z.string()));
/** `gaps`: banks that the header names and that do not replay, with the first event that lacks a digest. */
const gaps = z.record(z.string(), z.int());
const valid = z.object({ comment: z.string(), log: z.string(), pcrs, gaps: gaps.optional() });
const invalid = z.object({ comment: z.string(), log: z.string(), code: z.string() });

describe('event log vectors', () => {
  for (const vector of vectorsOf('event-log', 'valid', valid)) {
    test(`valid/${vector.file} replays to its PCR values: ${vector.comment}`, () => {
      const log = parseEventLog(parseHex(vector.log, 'log'));
      const { replayed, gaps: found } = replayBanks(log);
      const values = replayed.map((each) => [
        each.bank,
        Object.fromEntries([...each.values].map(([pcr, value]) => [String(pcr), toHex(value)])),
      ]);
      assert.deepEqual(Object.fromEntries(values), vector.pcrs);
      const at = Object.fromEntries(found.map(({ bank, index }) => [bank, index]));
      assert.deepEqual(at, vector.gaps ?? {});
    });
  }
  for (const vector of vectorsOf('event-log', 'invalid', invalid)) {
    test(`invalid/${vector.file} is refused: ${vector.comment}`, () => {
      assert.throws(
        () => replayEventLog(parseEventLog(parseHex(vector.log, 'log')), 'sha256'),
        (error) => error instanceof CoreError && error.code === vector.code,
      );
    });
  }
});

const event = fc.record({
  pcr: fc.integer({ min: 0, max: 23 }),
  eventType: fc.integer({ min: 4, max: 0xffffffff }),
  event: fc.uint8Array({ maxLength: 64 }),
});

test('parsing an encoded crypto-agile log gives its events back', () => {
  const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(fc.array(fc.record({ record: event, digest }), { maxLength: 12 }), (records) => {
      const log = parseEventLog(
        concat(
          encodeEventLogHeader(),
          ...records.map(({ record, digest: bytes }) => encodeEvent({ ...record, digest: bytes })),
        ),
      );
      assert.equal(log.format, 'crypto-agile');
      assert.deepEqual(
        log.events
          .slice(1)
          .map((logged) => [
            logged.pcr,
            logged.eventType,
            toHex(logged.event),
            toHex(logged.digests.sha256 ?? new Uint8Array()),
          ]),
        records.map(({ record, digest: bytes }) => [record.pcr, record.eventType, toHex(record.event), toHex(bytes)]),
      );
    }),
  );
});

test('parsing an encoded SHA-1 log gives its events back', () => {
  const digest = fc.uint8Array({ minLength: 20, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(fc.record({ record: event, digest }), { minLength: 1, maxLength: 12 }), (records) => {
      const log = parseEventLog(
        concat(...records.map(({ record, digest: bytes }) => encodeSha1Event({ ...record, digest: bytes }))),
      );
      assert.equal(log.format, 'sha1');
      assert.deepEqual(
        log.events.map((logged) => [logged.pcr, logged.eventType, toHex(logged.event)]),
        records.map(({ record }) => [record.pcr, record.eventType, toHex(record.event)]),
      );
    }),
  );
});

test('a log longer than 1 MiB is refused before it is read', () => {
  assert.throws(() => parseEventLog(new Uint8Array(EVENT_LOG_BYTES_MAX + 1)), { code: 'bytes-too-long' });
});

test('a bank the log does not speak for cannot be replayed', () => {
  assert.throws(() => replayEventLog(parseEventLog(cryptoAgileLog(uefiBoot)), 'sha384'), { code: 'event-log-invalid' });
});

test('PCRs that nothing was measured into have their reset values: zeros, and ones for 17 to 22', () => {
  const replayed = replayEventLog(parseEventLog(cryptoAgileLog(uefiBoot)), 'sha256');
  assert.deepEqual(pcrValue(replayed, 16), Uint8Array.from(new Uint8Array(32)));
  assert.deepEqual(pcrValue(replayed, 23), Uint8Array.from(new Uint8Array(32)));
  assert.deepEqual(pcrValue(replayed, 22), new Uint8Array(32).fill(0xff));
});

test('event data is described as one printable line without quotes, brackets or escapes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.uint8Array({ maxLength: 400 }), (eventType, bytes) =>
      assert.match(describeEventData(eventType, bytes), /^(?:(?!["'\\<>&])[ -~]){0,80}$/),
    ),
  );
  assert.equal(describeEventData(0xd, Buffer.from('stage agent\0')), 'stage agent');
  assert.equal(describeEventData(0x8, Buffer.from('1.2.0\0', 'utf16le')), '1.2.0');
  assert.equal(describeEventData(0x80000001, uefiVariable('SecureBoot', Uint8Array.of(1))), 'SecureBoot: on');
  assert.equal(describeEventData(0xd, Buffer.from('\x1b[2Jevil')), '0x1b5b324a6576696c');
  assert.equal(describeEventData(0xd, Buffer.from('<b>"x"')), '?b??x?');
});

test('an event type the specification does not name is shown as hex', () => {
  assert.equal(eventTypeName(0x80000003), 'EV_EFI_BOOT_SERVICES_APPLICATION');
  assert.equal(eventTypeName(0x1234), '0x00001234');
});
