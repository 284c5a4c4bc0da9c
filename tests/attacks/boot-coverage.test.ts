// Boots that fit reference values without having been compared: values that name one PCR only, and a PCR 0 that software started.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { referenceValuesFromLog } from '@edgekeep/core/attest/reference-values';
import { assertRefused } from '../support/answer.ts';
import { alteredBoot, healthyBoot, logOf, referenceValuesOf, stage } from '../support/boot.ts';
import type { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

const agentStage = stage(14, eventTypes.ipl, 'stage agent 1.4.0', 'agent 1.4.0');

async function appraisalAfterAsking(fleet: TpmWorld, device: TestDevice, code: string) {
  await using link = await device.connect(fleet.world.hub);
  assertRefused(await device.askForKey(link, model.name, model.version), { status: 403, code });
  return (await fleet.world.device(device.id)).appraisal;
}

// SECURITY.md: DEV-56
test('a system that extends the one published digest of the agent gets no key', { skip }, async () => {
  await using fleet = await TpmWorld.open();
  await fleet.world.withdrawReferenceValues('test-device', '1.0');
  const set = referenceValuesFromLog(parseEventLog(logOf([agentStage])), [14], 'agent-only', '1.0');
  await fleet.world.publishReferenceValues(set);
  const device = await fleet.device('other-system', [...alteredBoot, agentStage]);
  const appraisal = await appraisalAfterAsking(fleet, device, 'release-refused');
  assert.deepEqual([appraisal?.status, appraisal?.reasons.map(({ code }) => code)], ['warning', ['boot-not-covered']]);
});

// SECURITY.md: DEV-57
test('a TPM that software started takes the digests of a healthy boot and does not match it', { skip }, async () => {
  await using fleet = await TpmWorld.open();
  await fleet.world.withdrawReferenceValues('test-device', '1.0');
  // The reference machine's TPM was started from locality 3; the simulator's, like one after a reset, from locality 0.
  await fleet.world.publishReferenceValues({ ...referenceValuesOf(healthyBoot, '2.0'), startupLocality: 3 });
  const device = await fleet.device('reset');
  const appraisal = await appraisalAfterAsking(fleet, device, 'attestation-refused');
  assert.deepEqual(
    appraisal?.reasons.map(({ code }) => code),
    ['pcr-start-differs'],
  );
});
