// What operators see of refusals: an alert for a boot that was refused and for a device of an unknown maker, and no flood of alerts or entries by
// a device that repeats itself, or by strangers.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { utf8 } from '@edgekeep/core/bytes';
import { DiceRootOfTrust } from '@edgekeep/hardware/dice/dice-root-of-trust';
import { DiceSimulator, DiceVendor } from '@edgekeep/hardware/dice/testing-simulator';
import { alertList } from '@edgekeep/wire/api/alert';
import { assertRefused } from '../support/answer.ts';
import { alertOf, alertsOf } from '../support/alerts.ts';
import { alteredBoot, healthyBoot, logOf, measure, referenceValuesOf } from '../support/boot.ts';
import { closeAll } from '../support/closing.ts';
import type { DeviceLink } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { TestDevice } from '../support/test-device.ts';

let world: HubWorld;
let device: TestDevice;
let link: DeviceLink;

before(async () => {
  world = await HubWorld.open();
  await world.publishReferenceValues(referenceValuesOf(healthyBoot, '1.0'));
  await world.publishModel('surface', '1.0.0', 'weights');
  device = await TestDevice.withoutTpm('press', join(world.folder, 'press'), alteredBoot);
  await device.enroll(world);
  link = await device.connect(world.hub);
});
after(() => closeAll(link, device, world));

const entries = async () =>
  (await world.entries('attestation-refused')).filter(({ subject }) => subject === 'device:press').length;

// SECURITY.md: DEV-74
test('a boot that is refused raises one alert with its reasons', async () => {
  const { severity, state, title, data } = await alertOf(world, 'press', 'boot-refused');
  assert.deepEqual([severity, state, data['reasons']], ['high', 'open', ['event-differs', 'software-root-of-trust']]);
  assert.match(title, /^the boot of press was refused: PCR 4: an event differs/);
});

// SECURITY.md: DEV-74
test('one refusal is one entry for each connection, however often the device shows it', async () => {
  const enrolled = await entries();
  for (let times = 0; times < 3; times += 1) {
    await device.attest(link);
    const asked = await device.askForKey(link, 'surface', '1.0.0');
    assertRefused(asked, { status: 403, code: 'attestation-refused' });
  }
  assert.equal(await entries(), enrolled);
  await link[Symbol.asyncDispose]();
  link = await device.connect(world.hub);
  await device.attest(link);
  assert.equal(await entries(), enrolled + 1);
});

test('another reason on the same connection is another entry', async () => {
  const before = await entries();
  const loaded = alteredBoot.slice(3, 4);
  await measure(device.rootOfTrust, loaded);
  device.eventLog = logOf([...alteredBoot, ...loaded]);
  await device.attest(link);
  assert.equal(await entries(), before + 1);
});

test('the alert is closed by the hub when the device attests an accepted boot', async () => {
  await closeAll(link, device);
  device = await TestDevice.withoutTpm('press', join(world.folder, 'press'), healthyBoot);
  await device.recover(world.hub);
  link = await device.connect(world.hub);
  assert.deepEqual(
    (await alertsOf(world, 'press', 'boot-refused')).map(({ state, by }) => [state, by]),
    [['closed', 'hub']],
  );
});

const unknownMakers = async () =>
  (await world.operator.get('/v1/alerts?kind=unknown-maker&state=any', alertList)).alerts;

async function foreignChip(id: string): Promise<TestDevice> {
  const foreign = await DiceVendor.create('Unheard Of Chips');
  const layers = ['boot', 'runtime'].map((image) => ({
    image: utf8(image),
    vendor: 'Unheard Of',
    model: 'U1',
    version: '1.0',
    svn: 1,
  }));
  const handoff = await new DiceSimulator(foreign, randomBytes(32)).boot(layers);
  const place = { stateFolder: join(world.folder, id), bootId: 'boot-1' };
  return TestDevice.with(id, await DiceRootOfTrust.open(handoff, place));
}

// SECURITY.md: DEV-75
test('strangers whom nothing could admit raise no alert about their maker: nothing of them is read', async () => {
  await using chip = await foreignChip('stranger');
  assertRefused(await chip.tryEnroll(world, undefined), { status: 403, code: 'enrollment-refused' });
  await assertNoneRaised();
});

async function assertNoneRaised(): Promise<void> {
  assert.deepEqual(await unknownMakers(), []);
}

// SECURITY.md: DEV-75
test('a device of an unknown maker raises one alert that names it, its address and its maker, and so do many', async () => {
  await using chip = await foreignChip('knocking');
  const token = await world.enrollmentToken();
  const before = (await world.entries('alert-raised')).length;
  for (let times = 0; times < 20; times += 1) {
    const deviceId = `knocking-${times}`;
    const answer = await chip.tryEnroll(world, token, { start: (honest) => ({ ...honest, deviceId }) });
    assertRefused(answer, { status: 403, code: 'enrollment-refused', reason: 'dice-path-refused' });
  }
  const [alert, ...more] = await unknownMakers();
  assert.ok(alert);
  assert.deepEqual(more, []);
  assert.deepEqual([alert.severity, alert.subject, alert.count], ['low', 'enrollment', 1]);
  assert.match(
    alert.title,
    /^a device of a maker that this hub does not know asked to enroll: knocking-0, by .*Unheard Of Chips/,
  );
  assert.deepEqual(alert.data['addresses'], ['127.0.0.1']);
  assert.equal((await world.entries('alert-raised')).length, before + 1);
});
