// Evidence that must not release a key: replayed, from another connection, another TPM, for another purpose, or of another boot.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { type Evidence, evidenceDocument } from '@edgekeep/core/attest/evidence';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { concat } from '@edgekeep/core/bytes';
import { releaseResponse } from '@edgekeep/wire/api/access';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { accepted, assertRefused } from '../support/answer.ts';
import { alteredBoot, healthyBoot, logOf, measure, stage } from '../support/boot.ts';
import { type DeviceLink, zeroNonce } from '../support/device-link.ts';
import { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

let fleet: TpmWorld;
let honest: TestDevice;
let other: TestDevice;
let altered: TestDevice;
let software: TestDevice;

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open({ challengeSeconds: 30 });
  honest = await fleet.device('honest');
  other = await fleet.device('other');
  altered = await fleet.device('altered', alteredBoot);
  software = fleet.keep(await TestDevice.withoutTpm('software', `${fleet.world.folder}/software`));
  accepted(
    await software.tryEnroll(fleet.world, await fleet.world.enrollmentToken({ tier: 'software' })),
    certificateResponse,
  );
});
after(() => fleet?.[Symbol.asyncDispose]());

const asked = { model: model.name, version: model.version };
const refused = { status: 403, code: 'attestation-refused' };
const stale = { ...refused, reason: 'qualifying-data-mismatch' };

function askWith(link: DeviceLink, evidence: object, leaseCounter?: object) {
  return link.ask('POST', '/v1/releases', { ...asked, evidence, leaseCounter });
}

test('an honest device with a healthy boot gets the key, which opens in its own TPM', { skip }, async () => {
  await using link = await honest.connect(fleet.world.hub);
  const { wrappedKey, lease } = await honest.release(link, model.name, model.version);
  assert.equal((await honest.rootOfTrust.openKey(wrappedKey, { leaseId: lease.id })).length, 32);
});

// SECURITY.md: NET-03
test('evidence is good for one answer only', { skip }, async () => {
  await using link = await honest.connect(fleet.world.hub);
  const { evidence, leaseCounter } = await honest.releaseProof(await link.challenge(), link.exporter);
  accepted(await askWith(link, evidence, leaseCounter), releaseResponse);
  assertRefused(await askWith(link, evidence), { status: 409, code: 'challenge-missing' });
  // A new challenge does not make the old response valid.
  await link.challenge();
  assertRefused(await askWith(link, evidence), stale);
});

test('an answer to a challenge is used up even when it was wrong', { skip }, async () => {
  await using link = await honest.connect(fleet.world.hub);
  const nonce = await link.challenge();
  const right = await honest.evidence('release', nonce, link.exporter);
  assertRefused(await askWith(link, await other.evidence('release', nonce, link.exporter)), refused);
  assertRefused(await askWith(link, right), { status: 409, code: 'challenge-missing' });
});

// SECURITY.md: NET-03
test('evidence made for another connection of the same device is refused', { skip }, async () => {
  await using first = await honest.connect(fleet.world.hub);
  await using second = await honest.connect(fleet.world.hub);
  const nonce = await second.challenge();
  assertRefused(await askWith(second, await honest.evidence('release', nonce, first.exporter)), stale);
  const foreign = await first.challenge();
  await second.challenge();
  assertRefused(await askWith(second, await honest.evidence('release', foreign, second.exporter)), stale);
});

test('an expired challenge is refused', { skip }, async () => {
  await using link = await honest.connect(fleet.world.hub);
  const evidence = await honest.evidence('release', await link.challenge(), link.exporter);
  fleet.world.clock.advanceSeconds(31);
  assertRefused(await askWith(link, evidence), { status: 409, code: 'challenge-missing', says: /expired/ });
});

test('evidence signed by the attestation key of another TPM is refused', { skip }, async () => {
  await using link = await honest.connect(fleet.world.hub);
  const evidence = await other.evidence('release', await link.challenge(), link.exporter);
  assertRefused(await askWith(link, evidence), { ...refused, reason: 'signature-invalid' });
  // It says nothing about the device whose connection delivered it.
  assert.equal((await fleet.world.device('honest')).state, 'active');
});

// SECURITY.md: DEV-47
test('a quote made for another purpose does not release a key', { skip }, async (t) => {
  await using link = await honest.connect(fleet.world.hub);
  const purposes = {
    local: (nonce: Uint8Array) => honest.evidence('local', nonce, new Uint8Array(0)),
    bind: () => honest.evidence('bind', zeroNonce, link.exporter),
    certify: (nonce: Uint8Array) => honest.evidence('certify', nonce, link.exporter),
  };
  for (const [purpose, make] of Object.entries(purposes)) {
    await t.test(purpose, async () => {
      assertRefused(await askWith(link, await make(await link.challenge())), stale);
    });
  }
});

test('a quote made for a release does not bind a connection', { skip }, async () => {
  await using link = await honest.connect(fleet.world.hub);
  const evidence = await honest.evidence('release', await link.challenge(), link.exporter);
  assertRefused(await link.ask('POST', '/v1/bind', { evidence }), {
    status: 403,
    code: 'bind-refused',
    reason: 'qualifying-data-mismatch',
  });
});

// SECURITY.md: DEV-13
test('a device enrolled with a TPM cannot pass for one without', { skip }, async () => {
  await using link = await honest.connect(fleet.world.hub);
  const evidence = await software.evidence('release', await link.challenge(), link.exporter);
  assertRefused(await askWith(link, evidence), { ...refused, reason: 'tier-mismatch', says: /tier tpm/ });
});

// SECURITY.md: DEV-14
test('an altered boot is refused, and the reason names the event', { skip }, async () => {
  await using link = await altered.connect(fleet.world.hub);
  const { reasons } = assertRefused(await altered.askForKey(link, model.name, model.version), {
    ...refused,
    reason: 'event-differs',
    says: /PCR 4: an event differs: event \d+ is EV_EFI_BOOT_SERVICES_APPLICATION "second-stage loader 5\.9"/,
  });
  assert.equal(reasons.length, 1);
  assert.equal(reasons[0]?.['pcr'], 4);
});

// SECURITY.md: DEV-14
test('a log that tells of a healthy boot where another happened is refused', { skip }, async (t) => {
  await using link = await altered.connect(fleet.world.hub);
  const lies = {
    'the altered event is left out': logOf(alteredBoot.filter((_, at) => at !== 2)),
    'the altered event replays as the healthy one': logOf(healthyBoot),
  };
  const truth = altered.eventLog;
  for (const [name, lie] of Object.entries(lies)) {
    await t.test(name, async () => {
      altered.eventLog = lie;
      const answer = await altered.askForKey(link, model.name, model.version);
      assertRefused(answer, { ...refused, reason: 'pcr-digest-mismatch', says: /the log is not what was measured/ });
    });
  }
  await t.test('the log is empty', async () => {
    altered.eventLog = logOf([]);
    const answer = await altered.askForKey(link, model.name, model.version);
    assertRefused(answer, {
      ...refused,
      reason: 'firmware-log-missing',
      says: /the device sent no firmware event log/,
    });
  });
  altered.eventLog = truth;
});

test(
  'a PCR that was extended behind the log is refused, and the reason names the PCRs and the cause',
  { skip },
  async (t) => {
    const extra = stage(8, eventTypes.ipl, 'module loaded later', 'rootkit');
    await using link = await other.connect(fleet.world.hub);
    accepted(await other.askForKey(link, model.name, model.version), releaseResponse);
    await measure(other.rootOfTrust, [extra]);
    await t.test('when the log is silent about it', async () => {
      const says = /the log replays PCRs 0,1,2,3,4,5,6,7,8,9,14 .* the log is not what was measured/;
      const answer = await other.askForKey(link, model.name, model.version);
      assertRefused(answer, { ...refused, reason: 'pcr-digest-mismatch', says });
      const { state, leases } = await fleet.world.device('other');
      assert.equal(state, 'suspect');
      assert.ok(
        leases.every(({ revokedAt }) => revokedAt !== null),
        'a lease outlived the boot it was given to',
      );
    });
    await t.test('when the log admits it', async () => {
      other.eventLog = logOf([...healthyBoot, extra]);
      const says = /PCR 8: an event is extra: event 8 is EV_IPL "module loaded later"/;
      const answer = await other.askForKey(link, model.name, model.version);
      assertRefused(answer, { ...refused, reason: 'event-extra', says });
    });
    await t.test('on the software tier', async () => {
      await using softLink = await software.connect(fleet.world.hub);
      await measure(software.rootOfTrust, [extra]);
      const says = /the log replays PCR 8 to [0-9a-f]{64}, the device states [0-9a-f]{64}/;
      const answer = await software.askForKey(softLink, model.name, model.version);
      assertRefused(answer, { ...refused, reason: 'pcr-digest-mismatch', says });
    });
  },
);

test('a quote over fewer PCRs than the hub asks for is refused', { skip }, async () => {
  await using link = await honest.connect(fleet.world.hub);
  const data = qualifyingData('release', await link.challenge(), link.exporter);
  const signed = await honest.rootOfTrust.attest(data, { bank: 'sha256', pcrs: [7, 14] });
  const evidence = evidenceDocument({ ...signed, eventLog: honest.eventLog });
  assertRefused(await askWith(link, evidence), { ...refused, reason: 'pcr-selection-mismatch', says: /sha256:7,14/ });
});

test('evidence that is cut, or has bytes after its end, is broken input', { skip }, async (t) => {
  await using link = await honest.connect(fleet.world.hub);
  const spoiled: Readonly<Record<string, (evidence: Evidence) => Evidence>> = {
    'a cut signature': (e) => ({ ...e, signature: e.signature.subarray(0, -1) }),
    'a longer signature': (e) => ({ ...e, signature: concat(e.signature, Uint8Array.of(0)) }),
    'a cut log': (e) => ({ ...e, eventLog: e.eventLog.subarray(0, -1) }),
    'a log with a byte after its end': (e) => ({ ...e, eventLog: concat(e.eventLog, Uint8Array.of(1)) }),
  };
  for (const [name, spoil] of Object.entries(spoiled)) {
    await t.test(name, async () => {
      const data = qualifyingData('release', await link.challenge(), link.exporter);
      const evidence = evidenceDocument(spoil(await honest.signedEvidence(data)));
      assertRefused(await askWith(link, evidence), { status: 400, code: 'request-invalid' });
    });
  }
});
