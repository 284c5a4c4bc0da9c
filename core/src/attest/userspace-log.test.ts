import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { utf8 } from '../bytes.ts';
import { bootPhases } from './boot-phase.ts';
import { cryptoAgileLog, testEvent, uefiBoot } from './testing.ts';
import { extend, pcrValue } from './replay.ts';
import {
  parseUserspaceLog,
  phasesBetween,
  replayedBootLog,
  USERSPACE_LOG_BYTES_MAX,
  valuesAfter,
  withUserspaceRecords,
} from './userspace-log.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** As systemd writes it, members and all. */
function record(pcr: number, text: string, eventType = 'phase'): string {
  const digests = [
    { hashAlg: 'sha1', digest: createHash('sha1').update(text).digest('hex') },
    { hashAlg: 'sha256', digest: sha256(text) },
  ];
  const content = { eventType, string: text, bootId: '0'.repeat(32), timestamp: 7_000_000, recordNumber: 1 };
  return `\u001e${JSON.stringify({ pcr, digests, content_type: 'systemd', content })}\n`;
}

test('the log of systemd is read record by record', () => {
  const nvIndex = `\u001e${JSON.stringify({ nv_index: 0x1d10200, digests: [], content_type: 'systemd' })}\n`;
  const log = record(11, 'enter-initrd') + nvIndex + record(15, 'machine-id:0f', 'machine-id');
  assert.deepEqual(
    parseUserspaceLog(utf8(log)).map(({ pcr, digest, text }) => [pcr, Buffer.from(digest).toString('hex'), text]),
    [
      [11, sha256('enter-initrd'), 'enter-initrd'],
      [15, sha256('machine-id:0f'), 'machine-id:0f'],
    ],
  );
  assert.deepEqual(parseUserspaceLog(utf8('')), []);
});

test('a record that is being written is not read yet', () => {
  const log = record(11, 'enter-initrd') + record(11, 'leave-initrd').slice(0, 40);
  assert.equal(parseUserspaceLog(utf8(log)).length, 1);
});

test('a log without the quoted bank, with other text, or too long is refused', () => {
  const withoutBank = record(11, 'ready').replace('sha256', 'sha384');
  assert.throws(() => parseUserspaceLog(utf8(withoutBank)), { code: 'event-log-invalid' });
  assert.throws(() => parseUserspaceLog(utf8('\u001enothing\n')), { code: 'json-invalid' });
  assert.throws(() => parseUserspaceLog(utf8(record(24, 'x'))), { code: 'json-schema' });
  assert.throws(() => parseUserspaceLog(new Uint8Array(USERSPACE_LOG_BYTES_MAX + 1)), { code: 'bytes-too-long' });
});

test('without a log the phases explain PCR 11, from any of them to any later one', () => {
  const log = replayedBootLog(cryptoAgileLog([...uefiBoot, testEvent(11, 0xd, '.linux')]));
  const start = pcrValue(log, 11);
  for (const [first, end] of [
    [0, 1],
    [0, 4],
    [2, 4],
    [0, 6],
  ] as const) {
    const run = bootPhases.slice(first, end);
    const value = run.reduce((reached, { digest }) => extend('sha256', reached, digest), start);
    assert.deepEqual(
      phasesBetween(log, value)?.map(({ text }) => text),
      run.map(({ name }) => name),
    );
  }
  assert.deepEqual(phasesBetween(log, start), []);
  assert.equal(phasesBetween(log, new Uint8Array(32).fill(1)), undefined);
});

test('a log with the records behind it replays to the values after them', () => {
  const bytes = cryptoAgileLog(uefiBoot);
  const records = parseUserspaceLog(utf8(record(11, 'enter-initrd') + record(9, 'nvpcr-init:x') + record(11, 'ready')));
  const longer = replayedBootLog(withUserspaceRecords(bytes, records));
  const after = valuesAfter(replayedBootLog(bytes), records);
  for (const pcr of [0, 9, 11]) assert.deepEqual(pcrValue(longer, pcr), after(pcr));
  assert.equal(Buffer.from(longer.events.at(-1)?.event ?? []).toString(), 'systemd: ready');
  assert.equal(withUserspaceRecords(bytes, []), bytes);
});
