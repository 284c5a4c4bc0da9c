import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { pcrValue, replayEventLog } from '@edgekeep/core/attest/replay';
import { toHex, utf8 } from '@edgekeep/core/bytes';
import { HardwareError } from '../error.ts';
import { SoftwareRootOfTrust } from '../software/software-root-of-trust.ts';
import { BootLog, type Measurement } from './boot-log.ts';

async function setUp(context: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-boot-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const rootOfTrust = await SoftwareRootOfTrust.open({ stateFolder: join(folder, 'keys'), bootId: 'boot-1' });
  return { folder: join(folder, 'log'), bootId: 'boot-1', rootOfTrust };
}

function measurementOf(pcr: number, text: string): Measurement {
  return { pcr, eventType: eventTypes.ipl, digest: sha256(text), event: utf8(text) };
}

function sha256(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}

async function pcrText(rootOfTrust: SoftwareRootOfTrust, pcr: number): Promise<string> {
  return toHex((await rootOfTrust.readPcrs({ bank: 'sha256', pcrs: [pcr] })).get(pcr) ?? new Uint8Array(0));
}

test('the replay of the log gives the PCR values, also after opening it again', async (context) => {
  const options = await setUp(context);
  const log = await BootLog.open(options);
  await log.measure(measurementOf(4, 'loader'));
  await log.measure(measurementOf(4, 'kernel'));
  const again = await BootLog.open(options);
  assert.deepEqual(again.condition, { kind: 'consistent' });
  await again.measure(measurementOf(9, 'agent'));
  const replayed = replayEventLog(parseEventLog(again.bytes), 'sha256');
  for (const pcr of [4, 9]) assert.equal(toHex(pcrValue(replayed, pcr)), await pcrText(options.rootOfTrust, pcr));
});

test('a crash between writing and extending is repaired when the log is opened again', async (context) => {
  const options = await setUp(context);
  const log = await BootLog.open(options);
  await log.measure(measurementOf(4, 'loader'));
  const crashing = {
    readPcrs: options.rootOfTrust.readPcrs.bind(options.rootOfTrust),
    extend: () => Promise.reject(new Error('power failed')),
  };
  const cut = await BootLog.open({ ...options, rootOfTrust: crashing });
  await assert.rejects(cut.measure(measurementOf(4, 'kernel')), /power failed/);
  await assert.rejects(cut.measure(measurementOf(4, 'next')), withCode);
  const repaired = await BootLog.open(options);
  assert.deepEqual(repaired.condition, { kind: 'repaired', pcr: 4 });
  const replayed = replayEventLog(parseEventLog(repaired.bytes), 'sha256');
  assert.equal(toHex(pcrValue(replayed, 4)), await pcrText(options.rootOfTrust, 4));
  assert.deepEqual((await BootLog.open(options)).condition, { kind: 'consistent' });
});

test('a PCR that was extended behind the log is reported, not repaired', async (context) => {
  const options = await setUp(context);
  const log = await BootLog.open(options);
  await log.measure(measurementOf(4, 'loader'));
  await options.rootOfTrust.extend(4, randomBytes(32));
  assert.deepEqual((await BootLog.open(options)).condition, { kind: 'inconsistent', pcrs: [4] });
});

test('the log of another boot is removed and a new one begins', async (context) => {
  const options = await setUp(context);
  await (await BootLog.open(options)).measure(measurementOf(4, 'loader'));
  const rootOfTrust = await SoftwareRootOfTrust.open({ stateFolder: join(options.folder, 'other'), bootId: 'boot-2' });
  const next = await BootLog.open({ ...options, bootId: 'boot-2', rootOfTrust });
  assert.deepEqual(next.condition, { kind: 'consistent' });
  assert.equal(parseEventLog(next.bytes).events.length, 1);
  assert.deepEqual(
    (await readdir(options.folder)).filter((name) => name.startsWith('boot-1')),
    [],
  );
});

test('a file that is not an event log is refused', async (context) => {
  const options = await setUp(context);
  await BootLog.open(options);
  await writeFile(join(options.folder, 'boot-1.eventlog'), randomBytes(200));
  await assert.rejects(BootLog.open(options), withCode);
});

function withCode(error: unknown): boolean {
  return error instanceof HardwareError && error.code === 'boot-log-invalid';
}

test('what the system measured after the boot is explained by its records, and is no contradiction', async (context) => {
  const options = await setUp(context);
  await (await BootLog.open(options)).measure(measurementOf(11, 'kernel image'));
  const records = ['enter-initrd', 'ready'].map((text) => ({ pcr: 11, text, digest: sha256(text) }));
  for (const { digest } of records) await options.rootOfTrust.extend(11, digest);
  const log = await BootLog.open(options);
  await log.measure(measurementOf(14, 'agent'));
  const explained = await BootLog.open({ ...options, measuredLater: () => Promise.resolve(records) });
  assert.deepEqual(explained.condition, { kind: 'consistent' });
});

test('PCRs that the system extends are named where nothing explains them, and do not end the start', async (context) => {
  const options = await setUp(context);
  const log = await BootLog.open(options);
  for (const pcr of [11, 12, 14]) await log.measure(measurementOf(pcr, 'first'));
  for (const pcr of [11, 12]) await options.rootOfTrust.extend(pcr, randomBytes(32));
  assert.deepEqual((await BootLog.open(options)).condition, { kind: 'consistent', extendedLater: [11, 12] });
  await options.rootOfTrust.extend(14, randomBytes(32));
  assert.deepEqual((await BootLog.open(options)).condition, { kind: 'inconsistent', pcrs: [14] });
});
