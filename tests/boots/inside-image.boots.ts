// The agent inside a machine that boots a unified kernel image, or measures what runs by IMA (`npm run boots`).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseImaLog } from '@edgekeep/core/attest/ima-log';
import { imaPolicyFromLogs } from '@edgekeep/core/attest/ima-policy-sources';
import { imaNgLog } from '@edgekeep/core/attest/testing-ima';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { bootPcrs, BootWorld, goldenValues, reportOf, skipWithoutBoots } from './boot-world.ts';
import { firmware } from './debian.ts';
import { assertLeased, DeviceInside, eventOf, openHub, refusalOf, verdict } from './device-inside.ts';
import { makeImageDisk } from './disks.ts';
import { guestCommandLine } from './guest.ts';
import { makeImageSigner, makeUnifiedImage } from './unified-image.ts';

const programs = ['objcopy', 'ldd', 'mke2fs', 'sbsign', 'openssl'];
const skip = skipWithoutBoots === false ? await skipWithout(...programs) : skipWithoutBoots;

let world: BootWorld;
before(async () => {
  if (skip === false) world = await BootWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

test('a unified kernel image with keys of our own is affirmed by PCR 11 and leased', { skip }, async () => {
  await using hub = await openHub(world, bootPcrs);
  const device = await DeviceInside.make(world, hub, 'press-7');
  const signer = await makeImageSigner(world.folder);
  const stub = await world.files.unifiedImageStub();
  const { kernel } = world.files;
  const parts = { stub, kernel, initrd: await device.initrd(), commandLine: guestCommandLine, release: 'ID=press\n' };
  const disk = await makeImageDisk(world.newFolder(), await makeUnifiedImage(world.folder, 'press', parts, signer));
  const keys = { platformKey: signer.der, keyExchangeKey: signer.der, allowed: signer.der };
  const variables = await world.variables(firmware.noKeys, keys);
  const golden = reportOf(await world.boot(disk, variables));
  await hub.publishReferenceValues(goldenValues('image', golden.bootLog));
  assertLeased(await device.boot(disk, verdict, variables));
});

test(
  'with IMA the log of what ran is compared: without a policy it is affirmed, and a policy without Node refuses it',
  { skip },
  async () => {
    await using other = await openHub(
      world,
      [...bootPcrs, 10].toSorted((a, b) => a - b),
    );
    const measured = await DeviceInside.make(world, other, 'press-8');
    const disk = await measured.grubDisk({ commandLine: `${guestCommandLine} ima_policy=tcb` });
    const golden = reportOf(await world.boot(disk));
    await other.publishReferenceValues(goldenValues('ima', golden.bootLog));
    const story = await measured.boot(disk, ['attested', 'refused']);
    assert.deepEqual(eventOf(story, 'attested').reasons, []);
    // A policy of a device that runs something else.
    const head = { name: 'runtime', version: '1.0.0', for: ['ima'] };
    const { policy } = imaPolicyFromLogs([parseImaLog(imaNgLog(1))], head);
    await other.publishImaPolicy(policy);
    const { text } = refusalOf(await measured.boot(disk, ['attested', 'refused']));
    assert.match(text, /IMA policy runtime 1\.0\.0: IMA entry \d+, "\/device\/node": it is not listed/);
  },
);
