// The real agent and a hub, over the TPM and the log of a real boot (`npm run boots`): the machine has booted, its TPM goes on, and the agent
// uses it from the host. So a boot costs seconds, and not the minute that Node needs on a processor in software.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bootPhases } from '@edgekeep/core/attest/boot-phase';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { vendorCertificates } from '@edgekeep/hardware/tpm/simulator-manufacture';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { HubWorld } from '../support/hub-world.ts';
import { TestAgent } from '../support/test-agent.ts';
import { bootPcrs, BootWorld, goldenValues, reportOf, skipWithoutBoots } from './boot-world.ts';
import { firmware } from './debian.ts';
import { makeImageDisk } from './disks.ts';
import { guestCommandLine, guestInitrd, type GuestReport } from './guest.ts';
import { makeImageSigner, makeUnifiedImage } from './unified-image.ts';

const skip = skipWithoutBoots === false ? await skipWithout('objcopy', 'sbsign', 'openssl') : skipWithoutBoots;

let world: BootWorld;
let hub: HubWorld;
before(async () => {
  if (skip !== false) return;
  world = await BootWorld.open();
  const { root, intermediate } = await vendorCertificates(world.vendorFolder);
  hub = await HubWorld.open({ vendorRoots: [root, intermediate], settings: { pcrs: bootPcrs } });
  await hub.publishModel('surface', '1.0.0', 'weights of the surface model');
});
after(async () => {
  await hub?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

/** One device through several boots. */
const id = 'press-7';
const logFile = () => join(world.folder, `${id}.log`);

function newAgent(): Promise<TestAgent> {
  const settings = {
    rootOfTrust: { kind: 'tpm', address: `unix:${world.machine.tpmAddress.path}` } as const,
    models: [{ name: 'surface', use: 'program' } as const],
    // No such log of systemd, as before version 255.
    measuredStart: { firmwareLogFile: logFile(), userspaceLogFile: join(world.folder, 'none') },
  };
  return TestAgent.prepare(hub, id, settings, 'tpm');
}

test('one device through three boots', { skip }, async (t) => {
  const good = reportOf(await world.boot(await world.grubDisk()));
  await hub.publishReferenceValues(goldenValues('debian', good.bootLog));
  await using agent = await newAgent();
  await t.test('Debian is affirmed, and the key of the model opens in the TPM of this boot', async () => {
    await writeFile(logFile(), good.bootLog);
    const story = await agent.start({ bootId: 'good' });
    const { status, reasons } = await story.next('attested');
    assert.deepEqual([status, reasons], ['affirming', []]);
    await story.next('ready');
    await agent.stop();
  });
  await t.test('with another command line it is refused, and the hub names the event', async () => {
    const disk = await world.grubDisk({ commandLine: `${guestCommandLine} init=/bin/sh` });
    await writeFile(logFile(), reportOf(await world.boot(disk)).bootLog);
    const story = await agent.start({ bootId: 'changed' });
    const { code, reasons } = await story.next('refused');
    assert.equal(code, 'attestation-refused');
    assert.match(
      reasons.map(({ message }) => message).join('\n'),
      /PCR 8: an event differs: event \d+ is EV_IPL "grub_cmd: linux .*init=\/bi/,
    );
    assert.equal(story.has('ready'), false);
    await agent.stop();
  });
  await t.test('what systemd measures after the boot of a unified image is no fault', async () => {
    const report = await bootedImage();
    await hub.publishReferenceValues(goldenValues('image', report.bootLog));
    await writeFile(logFile(), report.bootLog);
    {
      await using tpm = await TpmRootOfTrust.open(world.machine.tpmAddress);
      for (const { digest } of bootPhases.slice(0, 4)) await tpm.extend(11, digest);
    }
    const story = await agent.start({ bootId: 'image' });
    const { status, reasons } = await story.next('attested');
    assert.deepEqual([status, reasons], ['affirming', []]);
    await story.next('ready');
  });
});

async function bootedImage(): Promise<GuestReport> {
  const signer = await makeImageSigner(world.folder);
  const { kernel, busybox } = world.files;
  const initrd = await guestInitrd(busybox);
  const stub = await world.files.unifiedImageStub();
  const parts = { stub, kernel, initrd, commandLine: guestCommandLine, release: 'ID=edgekeep-test\n' };
  const image = await makeUnifiedImage(world.folder, 'agent', parts, signer);
  const keys = { platformKey: signer.der, keyExchangeKey: signer.der, allowed: signer.der };
  const variables = await world.variables(firmware.noKeys, keys);
  return reportOf(await world.boot(await makeImageDisk(world.newFolder(), image), variables));
}
