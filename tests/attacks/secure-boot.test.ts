// A system that booted with Secure Boot off and says that it was on: by a log that names events otherwise, and by what it measures later.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { z } from 'zod';
import type { EventToEncode } from '@edgekeep/core/attest/event-log';
import { uefiVariable } from '@edgekeep/core/attest/testing';
import { utf8 } from '@edgekeep/core/bytes';
import { assertRefused } from '../support/answer.ts';
import { healthyBoot, referenceValuesOf } from '../support/boot.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

const text = `@id("secure-boot") permit (principal, action == Edgekeep::Action::"releaseKey", resource) when {
  context.attestation.status == "affirming" && context.attestation has secureBoot && context.attestation.secureBoot.on };`;

/** The variable as firmware measures it; `shown` is what the log says instead. */
function secureBootIs(value: number, shown?: Uint8Array): EventToEncode {
  const data = uefiVariable('SecureBoot', Uint8Array.of(value));
  const digest = createHash('sha256').update(data).digest();
  return { pcr: 7, eventType: 0x80000001, digest, event: shown ?? data };
}

async function askWith(fleet: TpmWorld, id: string, boot: readonly EventToEncode[], version: string) {
  await fleet.world.publishReferenceValues({ ...referenceValuesOf(boot, version), name: id });
  const device = await fleet.device(id, boot);
  await using link = await device.connect(fleet.world.hub);
  const answer = await device.askForKey(link, model.name, model.version);
  assert.equal((await fleet.world.device(id)).appraisal?.status, 'affirming');
  return answer;
}

// SECURITY.md: DEV-68
test('Secure Boot that was off is not taken for on, by later measurements or by another log', { skip }, async () => {
  await using fleet = await TpmWorld.open();
  await fleet.world.operator.send('PUT', '/v1/policy', { text }, z.unknown());
  const refused = { status: 403, code: 'release-refused' };
  const later = [secureBootIs(0), ...healthyBoot, secureBootIs(1)];
  assertRefused(await askWith(fleet, 'later', later, '1.0'), refused);
  const hidden = [secureBootIs(0, utf8('vendor data')), ...healthyBoot, secureBootIs(1)];
  assertRefused(await askWith(fleet, 'hidden', hidden, '1.0'), refused);
  const claimed = [secureBootIs(0, secureBootIs(1).event), ...healthyBoot];
  assertRefused(await askWith(fleet, 'claimed', claimed, '1.0'), refused);
  const { status } = await askWith(fleet, 'on', [secureBootIs(1), ...healthyBoot], '1.0');
  assert.equal(status, 200);
});
