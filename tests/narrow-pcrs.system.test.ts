// The setting `pcrs` becomes narrower than published reference values: these match no boot and are named, everything else goes on.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkReferenceValues } from '@edgekeep/hub/commands/check/reference-values';
import { alertList } from '@edgekeep/wire/api/alert';
import { openReader } from '@edgekeep/hub/store/engine/place';
import type { Tables } from '@edgekeep/hub/store/schema';
import { healthyBoot, referenceValuesOf } from './support/boot.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestDevice } from './support/test-device.ts';

const pcrs = [0, 2, 4, 7];
const only = (set: ReturnType<typeof referenceValuesOf>, wanted: readonly number[]) => ({
  ...set,
  events: set.events.filter(({ pcr }) => wanted.includes(pcr)),
});

test('a hub starts, names the sets that no boot can match, and appraises by the others', async () => {
  const settings = {
    pcrs,
    device: { port: 0 },
    operator: { port: 0 },
    logOrigin: 'edgekeep.test/log',
    logLevel: 'silent',
  };
  await using before = await HubWorld.open();
  const set = referenceValuesOf(healthyBoot, '1.0.0');
  await before.publishReferenceValues({ ...only(set, [8, 9]), name: 'kernel-alone' });
  await before.publishReferenceValues({ ...only(set, pcrs), name: 'firmware' });
  await before.stop();
  await using world = await HubWorld.reopen(before.folder, settings);
  const { alerts } = await world.operator.get('/v1/alerts?kind=reference-values-not-quoted', alertList);
  assert.match(alerts[0]?.title ?? '', /: kernel-alone 1\.0\.0$/);
  await using store = await openReader<Tables>(world.storeFile);
  const [finding] = await checkReferenceValues(store, { pcrs });
  assert.match(`${finding?.state} ${finding?.found}`, /^warning .*: kernel-alone 1\.0\.0 \(PCR 8, 9\)$/);
  assert.deepEqual(
    (await checkReferenceValues(store, { pcrs: [...pcrs, 8, 9] })).map(({ state }) => state),
    ['ok'],
  );
  assert.match(Buffer.from(await world.operator.getBytes('/metrics')).toString(), /reference_values_not_quoted 1/);

  await using device = await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1'));
  device.pcrs = pcrs;
  await device.enroll(world);
  await using link = await device.connect(world.hub);
  assert.equal((await device.attest(link)).status, 200);
  assert.equal((await world.device('press-1')).state, 'active');
});
