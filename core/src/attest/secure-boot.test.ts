import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../bytes.ts';
import { parseEventLog } from './event-log.ts';
import { replayEventLog } from './replay.ts';
import { secureBootOf } from './secure-boot.ts';
import { cryptoAgileLog, testEvent, type TestEvent, uefiVariable } from './testing.ts';

const of = (...events: readonly TestEvent[]) =>
  secureBootOf(replayEventLog(parseEventLog(cryptoAgileLog(events)), 'sha256'));
const variable = (value: number, pcr = 7) =>
  testEvent(pcr, 0x80000001, uefiVariable('SecureBoot', Uint8Array.of(value)));

test('Secure Boot is read from the variable that the digest covers', () => {
  assert.equal(of(variable(1)), 'on');
  assert.equal(of(variable(0)), 'off');
});

test('data that the digest does not cover, in another PCR or of another form says nothing', () => {
  assert.equal(of({ ...variable(1), measured: variable(0).event }), undefined);
  assert.equal(of(variable(1, 6)), undefined);
  assert.equal(of(testEvent(7, 0x80000001, utf8('SecureBoot=1'))), undefined);
});
