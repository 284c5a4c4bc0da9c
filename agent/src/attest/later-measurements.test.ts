import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { extend, pcrValue } from '@edgekeep/core/attest/replay';
import { cryptoAgileLog, fixedKey, testAttester, testEvent, testQuote, uefiBoot } from '@edgekeep/core/attest/testing';
import { replayedBootLog } from '@edgekeep/core/attest/userspace-log';
import { LaterMeasurements } from './later-measurements.ts';

const bytes = cryptoAgileLog([...uefiBoot, testEvent(11, 0xd, '.linux')]);
const log = replayedBootLog(bytes);
const sha256 = (text: string) => createHash('sha256').update(text).digest();
const pcrs = [0, 4, 11];
let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-later-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const valueAfter = (phases: readonly string[]) =>
  phases.reduce((value, phase) => extend('sha256', value, sha256(phase)), pcrValue(log, 11));

/** A TPM whose PCR 11 holds these phases behind the log, and its quote. */
function tpmAfter(phases: readonly string[]) {
  const value = valueAfter(phases);
  const signed = testQuote(testAttester(fixedKey(1)), {
    qualifyingData: new Uint8Array(32),
    pcrs,
    pcrValue: (pcr) => (pcr === 11 ? value : pcrValue(log, pcr)),
  });
  return { readPcrs: () => Promise.resolve(new Map([[11, value]])), signed };
}

async function systemdLog(...phases: readonly string[]): Promise<string> {
  const path = join(folder, 'measure.log');
  const records = phases.map((phase) => {
    const digests = [{ hashAlg: 'sha256', digest: sha256(phase).toString('hex') }];
    return `\u001e${JSON.stringify({ pcr: 11, digests, content: { string: phase } })}\n`;
  });
  await writeFile(path, records.join(''));
  return path;
}

const texts = (explained: Uint8Array) =>
  replayedBootLog(explained)
    .events.slice(log.events.length)
    .map(({ event }) => Buffer.from(event).toString());

test('evidence has what systemd logged up to the quote, and nothing that came later', async () => {
  const { signed, ...tpm } = tpmAfter(['enter-initrd', 'sysinit']);
  const later = new LaterMeasurements(tpm, await systemdLog('enter-initrd', 'sysinit', 'ready'));
  const explained = await later.logOf(bytes, [], signed, pcrs);
  assert.deepEqual(texts(explained), ['systemd: enter-initrd', 'systemd: sysinit']);
  assert.deepEqual(pcrValue(replayedBootLog(explained), 11), valueAfter(['enter-initrd', 'sysinit']));
});

test('without a log of systemd the known phases explain PCR 11', async () => {
  const { signed, ...tpm } = tpmAfter(['enter-initrd', 'leave-initrd', 'sysinit', 'ready']);
  const later = new LaterMeasurements(tpm, join(folder, 'none'));
  const explained = await later.logOf(bytes, [], signed, pcrs);
  assert.equal(texts(explained).at(-1), 'systemd: phase ready');
  assert.deepEqual(
    pcrValue(replayedBootLog(explained), 11),
    valueAfter(['enter-initrd', 'leave-initrd', 'sysinit', 'ready']),
  );
});

test('records of PCRs that are not quoted stay on the device', async () => {
  const { signed, ...tpm } = tpmAfter([]);
  const later = new LaterMeasurements(tpm, await systemdLog('enter-initrd'));
  assert.deepEqual(texts(await later.logOf(bytes, await later.records(log), signed, [0, 4])), []);
});

test('where the IMA log is quoted too, the records from before the quote are sent', async () => {
  const { signed, ...tpm } = tpmAfter(['enter-initrd']);
  const later = new LaterMeasurements(tpm, await systemdLog('enter-initrd'));
  const before = await later.records(log);
  await systemdLog('enter-initrd', 'ready');
  assert.deepEqual(texts(await later.logOf(bytes, before, signed, [0, 10, 11])), ['systemd: enter-initrd']);
});

test('a device without a TPM of this machine has none', async () => {
  const { signed, ...tpm } = tpmAfter([]);
  for (const later of [new LaterMeasurements(undefined, 'x'), new LaterMeasurements(tpm, undefined)]) {
    assert.equal(await later.logOf(bytes, [], signed, pcrs), bytes);
  }
});
