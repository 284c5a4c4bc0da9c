// Agents of the version before (docs/upgrading.md): evidence with the purpose `certify`, statements that are signed alone. They enroll, renew and
// recover, and the hub counts them.
import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeSoftwareStatement, evidenceDocument, formerEvidenceType } from '@edgekeep/core/attest/evidence';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { qualifyingData, type QualifyingPurpose } from '@edgekeep/core/attest/qualifying-data';
import { pcrValue, replayEventLog } from '@edgekeep/core/attest/replay';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { loadSoftwareKeys, type SoftwareKeys } from '@edgekeep/hardware/software/software-keys';
import { bindResponse, challengeResponse } from '@edgekeep/wire/api/attest';
import { certificateResponse, enrollChallengeResponse } from '@edgekeep/wire/api/enrollment';
import { accepted } from '../support/answer.ts';
import { closeAll } from '../support/closing.ts';
import { DeviceLink, zeroNonce } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { newOperationalKey, quotedPcrs, TestDevice } from '../support/test-device.ts';

let world: HubWorld;
let device: TestDevice;
let keys: SoftwareKeys;

before(async () => {
  world = await HubWorld.open();
  device = await TestDevice.withoutTpm('former', join(world.folder, 'former'));
  keys = await loadSoftwareKeys(join(world.folder, 'former'));
});
after(() => closeAll(device, world));

/** As an agent of the version before makes it. */
function evidence(purpose: QualifyingPurpose, nonce: Uint8Array, bound: Uint8Array): object {
  const { eventLog } = device;
  const replayed = replayEventLog(parseEventLog(eventLog), 'sha256');
  const pcrs = new Map(quotedPcrs.map((pcr) => [pcr, pcrValue(replayed, pcr)] as const));
  const statement = encodeSoftwareStatement({ qualifyingData: qualifyingData(purpose, nonce, bound), pcrs });
  const signature = sign('sha256', statement, keys.signing);
  return evidenceDocument({ type: formerEvidenceType, kind: 'software', statement, signature, eventLog });
}

const proofOf = async (nonce: Uint8Array) => {
  const { request, spki, privateKeyPem } = await newOperationalKey(device.id);
  return {
    privateKeyPem,
    body: { certificateRequest: toBase64url(request), evidence: evidence('certify', nonce, spki) },
  };
};

test('an agent of the version before enrolls, binds, renews and recovers, and is counted', async () => {
  await using stranger = await DeviceLink.open(world.hub);
  const token = await world.enrollmentToken();
  const start = { deviceId: device.id, token, identity: await device.identity() };
  const begun = accepted(await stranger.ask('POST', '/v1/enroll/challenge', start), enrollChallengeResponse);
  const first = await proofOf(parseBase64url(begun.nonce, 'nonce'));
  const end = { ...first.body, witnessKey: device.witnessKey };
  const { certificateChain: certificateChainPem } = accepted(
    await stranger.ask('POST', '/v1/enroll/complete', end),
    certificateResponse,
  );

  await using own = await DeviceLink.open(world.hub, { certificateChainPem, privateKeyPem: first.privateKeyPem });
  accepted(await own.ask('POST', '/v1/bind', { evidence: evidence('bind', zeroNonce, own.exporter) }), bindResponse);
  const next = await proofOf(await own.challenge());
  accepted(await own.ask('POST', '/v1/renew', next.body), certificateResponse);

  await using restarted = await DeviceLink.open(world.hub);
  const back = await restarted.ask('POST', '/v1/recover/challenge', { deviceId: device.id });
  const again = await proofOf(parseBase64url(accepted(back, challengeResponse).nonce, 'nonce'));
  accepted(await restarted.ask('POST', '/v1/recover/complete', again.body), certificateResponse);

  const metrics = Buffer.from(await world.operator.getBytes('/metrics')).toString();
  assert.match(metrics, /edgekeep_former_names_total\{listener="device",name="edgekeep-certify\/v1"\} 3/);
  assert.match(metrics, /edgekeep_former_names_total\{listener="device",name="edgekeep-evidence\/v1"\} 4/);
});
