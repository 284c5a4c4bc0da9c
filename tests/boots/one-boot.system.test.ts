// One real boot: Debian's shim, GRUB and kernel on a PC with Secure Boot and a TPM, without hardware virtualization. What the firmware
// logged replays to what the TPM has, and the TPM's quote is affirmed by reference values from the log. `npm run boots` has more of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { secureBootOf } from '@edgekeep/core/attest/secure-boot';
import { replayedBootLog } from '@edgekeep/core/attest/userspace-log';
import { BootWorld, differingPcrs, goldenValues, reportOf, skipWithoutBoots as skip } from './boot-world.ts';

test('a boot of Debian with Secure Boot replays to its PCRs, and its quote is affirmed', { skip }, async (context) => {
  await using world = await BootWorld.open();
  const boot = await world.boot(await world.grubDisk());
  context.diagnostic(`${boot.cpuSeconds} seconds of CPU time`);
  const report = reportOf(boot);
  assert.deepEqual(differingPcrs(report), []);
  assert.equal(secureBootOf(replayedBootLog(report.bootLog))?.on, true);
  const { status, reasons } = await world.appraise(report, [goldenValues('debian', report.bootLog)]);
  assert.deepEqual([status, reasons], ['affirming', []]);
});
