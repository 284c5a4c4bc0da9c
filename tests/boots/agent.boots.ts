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
import { guestCommandLine, guestInitrd } from './guest.ts';
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

async function agentAfter(id: string, bootLog: Uint8Array, userspaceLogFile?: string): Promise<TestAgent> {
  const firmwareLogFile = join(world.folder, `${id}.log`);
  await writeFile(firmwareLogFile, bootLog);
  const address = `unix:${world.machine.tpmAddress.path}`;
  const settings = {
    rootOfTrust: { kind: 'tpm', address } as const,
    models: [{ name: 'surface', use: 'program' } as const],
    measuredStart: { firmwareLogFile, ...(userspaceLogFile === undefined ? {} : { userspaceLogFile }) },
  };
  return TestAgent.prepare(hub, id, settings, 'tpm');
}

test(
  'a machine that booted Debian is affirmed and gets a key; with another command line it is refused',
  { skip },
  async (t) => {
    const good = reportOf(await world.boot(await world.grubDisk()));
    await hub.publishReferenceValues(goldenValues('debian', good.bootLog));
    await using agent = await agentAfter('press-7', good.bootLog);
    await t.test('the key of the model opens in the TPM of this boot', async () => {
      const story = await agent.start({ bootId: 'good' });
      const { status, reasons } = await story.next('attested');
      assert.deepEqual([status, reasons], ['affirming', []]);
      await story.next('ready');
      await agent.stop();
    });
    await t.test('the next boot has another command line, and the hub names the event', async () => {
      const disk = await world.grubDisk({ commandLine: `${guestCommandLine} init=/bin/sh` });
      const changed = reportOf(await world.boot(disk));
      await writeFile(join(world.folder, 'press-7.log'), changed.bootLog);
      const story = await agent.start({ bootId: 'changed' });
      const { code, reasons } = await story.next('refused');
      assert.equal(code, 'attestation-refused');
      assert.match(
        reasons.map(({ message }) => message).join('\n'),
        /PCR 8: an event differs: event \d+ is EV_IPL "grub_cmd: linux .*init=\/bin\/sh"/,
      );
      assert.equal(story.has('ready'), false);
    });
  },
);

test('what systemd measures after the boot of a unified image is no fault', { skip }, async () => {
  const signer = await makeImageSigner(world.folder);
  const { kernel, busybox } = world.files;
  const initrd = await guestInitrd(busybox);
  const stub = await world.files.unifiedImageStub();
  const parts = { stub, kernel, initrd, commandLine: guestCommandLine, release: 'ID=edgekeep-test\n' };
  const image = await makeUnifiedImage(world.folder, 'agent', parts, signer);
  const keys = { platformKey: signer.der, keyExchangeKey: signer.der, allowed: signer.der };
  const variables = await world.variables(firmware.noKeys, keys);
  const report = reportOf(await world.boot(await makeImageDisk(world.newFolder(), image), variables));
  await hub.publishReferenceValues(goldenValues('image', report.bootLog));
  {
    await using tpm = await TpmRootOfTrust.open(world.machine.tpmAddress);
    for (const { digest } of bootPhases.slice(0, 4)) await tpm.extend(11, digest);
  }
  // No such file, as before systemd 255: the phases themselves explain PCR 11.
  await using agent = await agentAfter('press-8', report.bootLog, join(world.folder, 'no-log-of-systemd'));
  const story = await agent.start({ bootId: 'image' });
  const { status, reasons } = await story.next('attested');
  assert.deepEqual([status, reasons], ['affirming', []]);
  await story.next('ready');
});
