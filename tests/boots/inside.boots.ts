// The agent inside a machine that boots (`npm run boots`): it runs on Debian's kernel, opens the machine's own TPM, reads the log that this
// kernel has, and reaches its hub over the network. One device goes through all boots.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { publishReferenceValues } from '@edgekeep/cli/reference/publish';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import type { HubWorld } from '../support/hub-world.ts';
import { bootPcrs, BootWorld, goldenValues, reportOf, skipWithoutBoots } from './boot-world.ts';
import { firmware } from './debian.ts';
import { assertLeased, DeviceInside, eventOf, openHub, refusalOf, verdict } from './device-inside.ts';
import { guestCommandLine } from './guest.ts';

const run = promisify(execFile);
const skip = skipWithoutBoots === false ? await skipWithout('objcopy', 'ldd', 'mke2fs') : skipWithoutBoots;

let world: BootWorld;
let hub: HubWorld;
let device: DeviceInside;
const goldenLog = () => join(world.folder, 'golden.log');

before(async () => {
  if (skip !== false) return;
  world = await BootWorld.open();
  hub = await openHub(world, bootPcrs);
  device = await DeviceInside.make(world, hub, 'press-7');
  const { bootLog } = reportOf(await world.boot(await device.grubDisk()));
  await writeFile(goldenLog(), bootLog);
  await hub.publishReferenceValues(goldenValues('debian', bootLog));
});
after(async () => {
  await hub?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

test('Debian is affirmed, and the device leases the key of the model', { skip }, async (context) => {
  const story = await device.boot(await device.grubDisk(), verdict);
  context.diagnostic(story.figures);
  eventOf(story, 'enrolled');
  assertLeased(story);
});

test('with another command line it is refused, and the event is named', { skip }, async () => {
  const disk = await device.grubDisk({ commandLine: `${guestCommandLine} audit=0` });
  const { text } = refusalOf(await device.boot(disk, verdict));
  assert.match(text, /PCR 8: an event differs: event \d+ is EV_IPL "grub_cmd: linux .*audit=0"/);
});

test('with another initrd it is refused, and the event is named', { skip }, async () => {
  const { text } = refusalOf(await device.boot(await device.grubDisk({ note: 'another' }), verdict));
  assert.match(text, /PCR 9: an event differs: event \d+ is EV_IPL "\/initrd\.img"/);
});

test('with one more entry in dbx it is refused, and the event is named', { skip }, async () => {
  const variables = await world.variables(firmware.microsoftKeys, { forbidden: [new Uint8Array(32).fill(0xab)] });
  const { text } = refusalOf(await device.boot(await device.grubDisk(), verdict, variables));
  assert.match(text, /PCR 7: an event differs: event \d+ is EV_EFI_VARIABLE_DRIVER_CONFIG "dbx: 2 hashes"/);
});

test('without Secure Boot the device names the missing log, and is refused for it', { skip }, async () => {
  const variables = await world.variables(firmware.microsoftKeys, { secureBoot: false });
  const story = await device.boot(await device.grubDisk(), verdict, variables);
  eventOf(story, 'firmware-log-missing');
  assert.deepEqual(refusalOf(story).codes, ['firmware-log-missing']);
});

test('a kernel with one bit changed does not start, so there is no agent', { skip }, async () => {
  const kernel = await world.changedKernel();
  const { report, console } = await world.boot(await world.grubDisk({ kernel }));
  assert.equal(report, undefined);
  assert.match(console, /bad shim signature/);
});

test(
  'an update of kernel and initrd that was foretold by the command line is leased when it boots',
  { skip },
  async () => {
    const kernel = await world.files.otherKernel();
    const [before_, after_] = [join(world.folder, 'initrd.before'), join(world.folder, 'initrd.after')];
    await writeFile(before_, await device.initrd());
    await writeFile(after_, await device.initrd(kernel));
    const main = join(import.meta.dirname, '../../cli/src/main.ts');
    const out = join(world.folder, 'next.json');
    const replaced = ['--replace', `${world.files.kernel}=${kernel}`, '--replace', `${before_}=${after_}`];
    const named = ['--name', 'debian', '--version', '2', '--out', out];
    await run(process.execPath, [main, 'reference', 'predict', goldenLog(), ...named, ...replaced]);
    await publishReferenceValues(hub.operator, out, hub.publisher);
    assertLeased(await device.boot(await device.grubDisk({ kernel }), verdict));
  },
);
