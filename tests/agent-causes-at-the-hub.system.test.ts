// docs/agent-causes.md, "What the hub answers" and "After TPM2_Clear": a device with such evidence gets a named refusal, and the operator reads the
// same words.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { alertList } from '@edgekeep/wire/api/alert';
import { auditList } from '@edgekeep/wire/api/audit';
import { stateResponse } from '@edgekeep/wire/api/device-view';
import { tpm2, skipWithout } from '@edgekeep/hardware/tpm/testing';
import { encodeEventLogHeader } from '@edgekeep/core/attest/event-log';
import { healthyBoot } from './support/boot.ts';
import { alertOf } from './support/alerts.ts';
import { assertRefused } from './support/answer.ts';
import { TestAgent } from './support/test-agent.ts';
import { TestDevice } from './support/test-device.ts';
import { model, skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';

const skip = skipWithoutTpm === false ? await skipWithout('tpm2_quote') : skipWithoutTpm;

describe('what a hub answers to a TPM that lacks something', { skip }, () => {
  let fleet: TpmWorld;
  before(async () => {
    fleet = await TpmWorld.open();
  });
  after(() => fleet?.[Symbol.asyncDispose]());

  const reasonsInLog = async (deviceId: string) => {
    const { entries } = await fleet.world.operator.get('/v1/audit?from=0&limit=1000', auditList);
    return entries.filter(({ kind, subject }) => kind === 'attestation-refused' && subject === `device:${deviceId}`);
  };

  test('a quote of a TPM with its SHA-1 bank alone has a reason of its own, for the device and in an alert', async () => {
    const simulator = await fleet.simulator('sha1');
    await tpm2(simulator, fleet.simulators.folder, 'pcrallocate', 'sha1:all+sha256:none');
    await simulator.powerCycle();
    // Nothing can be measured into the bank that is quoted.
    const device = fleet.keep(await TestDevice.withTpm('press-sha1', simulator, []));
    await device.enroll(fleet.world);
    await using link = await device.connect(fleet.world.hub);
    const answer = await device.askForKey(link, model.name, model.version);
    assertRefused(answer, {
      status: 403,
      code: 'attestation-refused',
      reason: 'pcr-bank-missing',
      says: /SHA-256 bank/,
    });
    const alert = await alertOf(fleet.world, 'press-sha1', 'boot-refused');
    assert.match(alert.title, /no PCR of the SHA-256 bank/);
    assert.match(JSON.stringify(await reasonsInLog('press-sha1')), /pcr-bank-missing/);
  });

  test('evidence without a log of what was measured is named so, and not as a false log', async () => {
    const device = fleet.keep(await TestDevice.withTpm('press-bare', await fleet.simulator('bare'), healthyBoot));
    device.eventLog = encodeEventLogHeader();
    await device.enroll(fleet.world);
    await using link = await device.connect(fleet.world.hub);
    const answer = await device.askForKey(link, model.name, model.version);
    assertRefused(answer, {
      status: 403,
      code: 'attestation-refused',
      reason: 'firmware-log-missing',
      says: /event log/,
    });
    assert.match((await alertOf(fleet.world, 'press-bare', 'boot-refused')).title, /no firmware event log/);
  });

  test('a TPM without a certificate is refused by name, and the operator has an alert', async () => {
    const device = await fleet.newDevice('press-uncertified');
    const refused = await device.tryEnroll(fleet.world, await fleet.world.enrollmentToken({ deviceId: device.id }), {
      start: (honest) => ({ ...honest, identity: { ...honest.identity, endorsementCertificates: [] } }),
    });
    assertRefused(refused, {
      status: 403,
      code: 'enrollment-refused',
      reason: 'endorsement-certificate-missing',
      says: /no certificate for its endorsement key/,
    });
    const { alerts } = await fleet.world.operator.get('/v1/alerts?kind=unknown-maker', alertList);
    assert.match(alerts[0]?.title ?? '', /press-uncertified, by no certificate/);
  });

  test('after TPM2_Clear the agent says so, the hub names it, and the device comes back as the page says', async () => {
    const { world } = fleet;
    const simulator = await fleet.simulator('cleared');
    const settings = { rootOfTrust: { kind: 'tpm' as const, address: `unix:${simulator.socketPath}` } };
    await using device = await TestAgent.prepare(world, 'press-cleared', settings, 'tpm');
    await (await device.start()).next('connected');
    await device.stop();
    await simulator.powerCycle();
    await tpm2(simulator, fleet.simulators.folder, 'clear', '-c', 'p');

    const story = await device.start();
    assert.match((await story.next('tpm-cleared')).why, /TPM2_Clear.*mark-wiped/);
    const { reasons } = await story.next('refused');
    assert.deepEqual(
      reasons.map(({ code }) => code),
      ['reset-count-decreased'],
    );
    assert.match(reasons[0]?.message ?? '', /its TPM was cleared \(TPM2_Clear.*mark-wiped/);
    await device.stop();
    assert.match((await alertOf(world, 'press-cleared', 'clone')).title, /its TPM was cleared \(TPM2_Clear/);

    const order = { reason: 'its TPM was cleared on purpose' };
    await world.operator.send('POST', '/v1/devices/press-cleared/quarantine', order, stateResponse);
    await world.operator.send('POST', '/v1/devices/press-cleared/wiped', order, stateResponse);
    await using fresh = await TestAgent.prepare(world, 'press-cleared', settings, 'tpm');
    await writeFile(join(fresh.stateFolder, 'note'), 'an empty state folder but for the kit');
    await (await fresh.start()).next('enrolled');
  });
});
