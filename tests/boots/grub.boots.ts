// Boots of Debian by shim and GRUB (`npm run boots`): as they are, without Secure Boot, with parts exchanged, and after an update that was
// foretold from its files.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { encodeEventLogHeader, parseEventLog } from '@edgekeep/core/attest/event-log';
import { referenceValuesFromBoots } from '@edgekeep/core/attest/golden-boots';
import { predictBoot } from '@edgekeep/core/attest/predict/predict';
import { imaNgLog } from '@edgekeep/core/attest/testing-ima';
import { concat } from '@edgekeep/core/bytes';
import type { ReferenceValues } from '@edgekeep/core/attest/reference-values';
import { BootWorld, differingPcrs, goldenValues, reportOf, skipWithoutBoots as skip } from './boot-world.ts';
import { firmware } from './debian.ts';
import { guestCommandLine, guestInitrd, type GuestReport } from './guest.ts';
import { keepLog } from './recorded.ts';

let world: BootWorld;
let golden: GuestReport;
let values: ReferenceValues;
before(async () => {
  if (skip !== false) return;
  world = await BootWorld.open();
  golden = reportOf(await world.boot(await world.grubDisk()));
  await keepLog('grub-secure-boot', golden);
  values = goldenValues('debian', golden.bootLog);
});
after(() => world?.[Symbol.asyncDispose]());

/** PCR, code and what the message says of the event. */
async function differences(report: GuestReport): Promise<readonly string[]> {
  const { reasons } = await world.appraise(report, [values]);
  return reasons.map(({ pcr, code, event }) => `PCR ${pcr} ${code} ${event?.description ?? ''}`.trim());
}

test('the boot is affirmed', { skip }, async () => {
  assert.deepEqual(differingPcrs(golden), []);
  assert.equal((await world.appraise(golden, [values])).status, 'affirming');
});

test('without Secure Boot there is no log, and that is what the verdict says', { skip }, async () => {
  const variables = await world.variables(firmware.microsoftKeys, { secureBoot: false });
  const report = reportOf(await world.boot(await world.grubDisk(), variables));
  assert.equal(report.bootLog.length, 0);
  const { status, reasons } = await world.appraise({ bootLog: encodeEventLogHeader() }, [values]);
  assert.deepEqual([status, reasons.map(({ code }) => code)], ['contraindicated', ['firmware-log-missing']]);
});

test('another initrd is named by its event in PCR 9', { skip }, async () => {
  const initrd = await guestInitrd(world.files.busybox, 'another');
  const report = reportOf(await world.boot(await world.grubDisk({ initrd })));
  assert.deepEqual(await differences(report), ['PCR 9 event-differs /initrd.img']);
});

test('another command line is named by its event in PCR 8', { skip }, async () => {
  const report = reportOf(await world.boot(await world.grubDisk({ commandLine: `${guestCommandLine} init=/bin/sh` })));
  const [first, ...others] = await differences(report);
  assert.match(first ?? '', /^PCR 8 event-differs grub_cmd: linux \/vmlinuz .* init=\/bi/);
  // The configuration of GRUB is a file that it reads.
  assert.deepEqual(others, ['PCR 9 event-differs (hd0,msdos1)/EFI/debian/grub.cfg']);
});

test('one more entry in dbx is named by its event in PCR 7', { skip }, async () => {
  const variables = await world.variables(firmware.microsoftKeys, { forbidden: [new Uint8Array(32).fill(0xab)] });
  const report = reportOf(await world.boot(await world.grubDisk(), variables));
  assert.deepEqual(await differences(report), ['PCR 7 event-differs dbx: 2 hashes']);
});

test('a kernel with one bit changed does not start', { skip }, async () => {
  const kernel = await world.changedKernel();
  const { report, console } = await world.boot(await world.grubDisk({ kernel }));
  assert.equal(report, undefined);
  assert.match(console, /bad shim signature/);
});

test('an update of the kernel that was foretold from its files matches when it boots', { skip }, async () => {
  const kernel = await world.files.otherKernel();
  const log = parseEventLog(golden.bootLog);
  const change = { name: 'vmlinuz', before: await readFile(world.files.kernel), after: await readFile(kernel) };
  const { events, replaced } = predictBoot(log.events, [change], []);
  assert.ok(replaced.some(({ pcr }) => pcr === 4) && replaced.some(({ pcr }) => pcr === 9));
  const foretold = referenceValuesFromBoots([{ ...log, events }], { name: 'debian', version: '2' }).values;
  const report = reportOf(await world.boot(await world.grubDisk({ kernel })));
  assert.deepEqual((await world.appraise(report, [foretold])).reasons, []);
  assert.equal((await world.appraise(report, [values])).status, 'contraindicated');
});

test('the IMA log of the boot explains PCR 10, also when it is longer than the quote', { skip }, async () => {
  const report = reportOf(
    await world.boot(await world.grubDisk({ commandLine: `${guestCommandLine} ima_policy=tcb` })),
  );
  const known = goldenValues('ima', report.bootLog);
  const pcrs = [0, 2, 4, 7, 8, 9, 10, 14];
  const { status, reasons, imaLog } = await world.appraise(report, [known], pcrs);
  assert.deepEqual([status, reasons], ['affirming', []]);
  // The policy leaves out what lies in memory, as all of this guest does: the aggregate of the boot is left.
  assert.equal(imaLog?.entries, 1);
  // What is measured between the quote and the reading of the log.
  const longer = { ...report, imaLog: concat(report.imaLog, imaNgLog(3)) };
  const again = await world.appraise(longer, [known], pcrs);
  assert.deepEqual([again.status, again.imaLog?.entries], ['affirming', imaLog?.entries]);
});
