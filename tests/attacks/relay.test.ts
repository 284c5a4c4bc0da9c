// A relay that uses a device's TPM from elsewhere (docs/design/relay.md): the requirements on its boot, and the alerts on its address and
// response time.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { referenceValuesFromLog } from '@edgekeep/core/attest/reference-values';
import { alertView } from '@edgekeep/wire/api/alert';
import { assertRefused } from '../support/answer.ts';
import { alertOf, alertsOf } from '../support/alerts.ts';
import { healthyBoot, logOf, stage } from '../support/boot.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import type { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

const agentStage = stage(14, eventTypes.ipl, 'stage agent', 'agent 1.0');
const withAgent = [...healthyBoot, agentStage];

test('where the stage of the agent must be covered', { skip }, async (t) => {
  await using fleet = await TpmWorld.open({ attestation: { coveredPcrs: [14] } });
  const { world } = fleet;
  const ask = async (device: TestDevice) => {
    await using link = await device.connect(world.hub);
    return await device.askForKey(link, model.name, model.version);
  };
  const genuine = await fleet.device('genuine', withAgent);
  const without = await fleet.device('without', healthyBoot);

  // SECURITY.md: DEV-48
  await t.test('a boot is not affirmed by values that say nothing of it, and the reason names the PCR', async () => {
    for (const device of [genuine, without]) {
      assertRefused(await ask(device), { status: 403, code: 'release-refused', says: /it is "warning"/ });
      const { appraisal } = await world.device(device.id);
      assert.equal(appraisal?.status, 'warning');
      assert.ok(
        appraisal.reasons.some(({ code, message }) => code === 'pcr-not-covered' && message.includes('PCR 14')),
      );
    }
  });
  await t.test(
    'with values that cover it, the device that measured the agent gets the key, and one that did not does not',
    async () => {
      const log = parseEventLog(logOf(withAgent));
      await world.publishReferenceValues(referenceValuesFromLog(log, [0, 2, 4, 7, 8, 9, 14], 'with-agent', '1.0'));
      assert.equal((await ask(genuine)).status, 200);
      assertRefused(await ask(without), { status: 403, code: 'release-refused' });
    },
  );
});

describe('who asks for a lease and who holds it', () => {
  let fleet: SoftwareWorld | undefined;
  before(async () => {
    fleet = await SoftwareWorld.open({ alerts: { proofSlackMilliseconds: 250 } });
    await fleet.world.publishModel('surface', '1.0.0', 'weights');
  });
  after(() => fleet?.[Symbol.asyncDispose]());

  // SECURITY.md: DEV-48
  test('from the same address is no alert, from another one while the lease holds is one', async () => {
    assert.ok(fleet);
    const { world, device, link } = fleet;
    for (let lease = 0; lease < 2; lease += 1) await device.release(link, 'surface', '1.0.0');
    assert.deepEqual(await alertsOf(world, device.id, 'lease-elsewhere'), []);
    await link[Symbol.asyncDispose]();
    fleet.link = await device.connect(world.hub, '127.0.0.2');
    await device.release(fleet.link, 'surface', '1.0.0');
    const { severity, title, data } = await alertOf(world, device.id, 'lease-elsewhere');
    assert.deepEqual(
      [severity, data['differs'], data['addresses'], data['holders']],
      ['low', 'address', ['127.0.0.2'], ['127.0.0.1']],
    );
    assert.match(
      title,
      /^software asked for surface from 127\.0\.0\.2, while the lease given to 127\.0\.0\.1 is still valid$/,
    );
  });
  test('once a lease is over it has no holder: a device that moved meanwhile is no alert', async () => {
    assert.ok(fleet);
    const { world, device } = fleet;
    const { id } = await alertOf(world, device.id, 'lease-elsewhere');
    await world.operator.send('POST', `/v1/alerts/${id}/close`, { note: 'moved' }, alertView);
    world.clock.advanceSeconds(3_601);
    await fleet.link[Symbol.asyncDispose]();
    fleet.link = await device.connect(world.hub);
    await device.release(fleet.link, 'surface', '1.0.0');
    assert.deepEqual(
      (await alertsOf(world, device.id, 'lease-elsewhere')).map(({ state }) => state),
      ['closed'],
    );
  });
  test('a proof that takes much longer than the device’s own is an alert with both times', async () => {
    assert.ok(fleet);
    const { world, device, link } = fleet;
    for (let lease = 0; lease < 5; lease += 1) await device.release(link, 'surface', '1.0.0');
    const nonce = await link.challenge();
    // The network path to a distant TPM.
    const farMs = 2_000;
    await new Promise((resolve) => setTimeout(resolve, farMs));
    const ask = { model: 'surface', version: '1.0.0', ...(await device.releaseProof(nonce, link.exporter)) };
    assert.equal((await link.ask('POST', '/v1/releases', ask)).status, 200);
    const alerts = await alertsOf(world, device.id, 'lease-elsewhere');
    const data = alerts.find(({ state }) => state === 'open')?.data ?? {};
    assert.equal(data['differs'], 'round-trip');
    assert.ok(Number(data['proofMs']) > Number(data['limitMs']));
  });
});
