// Boots of unified kernel images (`npm run boots`): signed with a key of our own that the firmware trusts alone, and after an update that was
// foretold from the image.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { referenceValuesFromBoots } from '@edgekeep/core/attest/golden-boots';
import { predictBoot } from '@edgekeep/core/attest/predict/predict';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { BootWorld, differingPcrs, goldenValues, reportOf, skipWithoutBoots } from './boot-world.ts';
import { firmware } from './debian.ts';
import { makeImageDisk } from './disks.ts';
import { guestCommandLine, guestInitrd, type GuestReport } from './guest.ts';
import { keepLog } from './recorded.ts';
import { type ImageSigner, makeImageSigner, makeUnifiedImage } from './unified-image.ts';

const skip = skipWithoutBoots === false ? await skipWithout('objcopy', 'sbsign', 'openssl') : skipWithoutBoots;

let world: BootWorld;
let signer: ImageSigner;
let variables: string;
let image: string;
let golden: GuestReport;

async function imageOf(name: string, commandLine: string, note = ''): Promise<string> {
  const { kernel, busybox } = world.files;
  const parts = { kernel, initrd: await guestInitrd(busybox, note), commandLine, release: 'ID=edgekeep-test\n' };
  return makeUnifiedImage(world.folder, name, { ...parts, stub: await world.files.unifiedImageStub() }, signer);
}

before(async () => {
  if (skip !== false) return;
  world = await BootWorld.open();
  signer = await makeImageSigner(world.folder);
  const keys = { platformKey: signer.der, keyExchangeKey: signer.der, allowed: signer.der };
  variables = await world.variables(firmware.noKeys, keys);
  image = await imageOf('first', guestCommandLine);
  golden = reportOf(await world.boot(await makeImageDisk(world.newFolder(), image), variables));
  await keepLog('unified-image', golden);
});
after(() => world?.[Symbol.asyncDispose]());

test('the boot is affirmed by PCR 11, and keys of our own are in PCR 7', { skip }, async () => {
  assert.deepEqual(differingPcrs(golden), []);
  const values = goldenValues('image', golden.bootLog);
  assert.deepEqual([...new Set(values.events.map(({ pcr }) => pcr))], [0, 2, 4, 7, 11]);
  assert.equal((await world.appraise(golden, [values])).status, 'affirming');
});

test('an update of the image that was foretold from the file matches when it boots', { skip }, async () => {
  const next = await imageOf('next', `${guestCommandLine} debug`, 'another');
  const log = parseEventLog(golden.bootLog);
  const change = { name: 'image', before: await readFile(image), after: await readFile(next) };
  const { events } = predictBoot(log.events, [change], []);
  const pcrs = [0, 2, 4, 7, 9, 11];
  const foretold = referenceValuesFromBoots([{ ...log, events }], { name: 'image', version: '2', pcrs }).values;
  const report = reportOf(await world.boot(await makeImageDisk(world.newFolder(), next), variables));
  assert.deepEqual((await world.appraise(report, [foretold])).reasons, []);
  const { reasons } = await world.appraise(report, [goldenValues('image', golden.bootLog)]);
  assert.deepEqual(
    reasons.map(({ pcr }) => pcr),
    [4, 11],
  );
});

test('what Microsoft signed does not start with keys of our own', { skip }, async () => {
  const { report } = await world.boot(await world.grubDisk(), variables);
  assert.equal(report, undefined);
});
