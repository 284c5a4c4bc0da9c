// The key of a maker's intermediate was stolen, and the operator removed its certificate. Who has the key has the certificate too, and sends it
// (spec/vendor-roots.md, "Removing").
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseBase64url, toBase64, toBase64url, utf8 } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { DiceRootOfTrust } from '@edgekeep/hardware/dice/dice-root-of-trust';
import { DiceSimulator, DiceVendor, type FirmwareLayer } from '@edgekeep/hardware/dice/testing-simulator';
import { challengeResponse } from '@edgekeep/wire/api/attest';
import { vendorRootImported, vendorRootRemoved } from '@edgekeep/wire/api/vendor-root';
import { accepted, type Answer, assertRefused } from '../support/answer.ts';
import { closeAll } from '../support/closing.ts';
import { DeviceLink, zeroNonce } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { newOperationalKey, TestDevice } from '../support/test-device.ts';

const maker = await DiceVendor.create('Example chips');
const intermediate = await maker.below('Example chips, line 3');
const layers: readonly FirmwareLayer[] = ['boot', 'runtime'].map((image) => ({
  image: utf8(image),
  vendor: 'Example',
  model: 'E1',
  version: '1.0',
  svn: 1,
}));

let world: HubWorld;
let device: TestDevice;
let link: DeviceLink;

/** A chip of the line; it carries the certificate of the intermediate. */
async function chip(id: string): Promise<TestDevice> {
  const handoff = await new DiceSimulator(intermediate, randomBytes(32)).boot(layers);
  const chain = [...handoff.chain, intermediate.root.der];
  const place = { stateFolder: join(world.folder, id), bootId: 'boot-1' };
  return TestDevice.with(id, await DiceRootOfTrust.open({ ...handoff, chain }, place));
}

before(async () => {
  world = await HubWorld.open({ diceRoots: [maker.rootPem] });
  device = await chip('press');
  await device.enroll(world);
  link = await device.connect(world.hub);
});
after(() => closeAll(link, device, world));

async function certified(way: 'renew' | 'recover'): Promise<Answer> {
  await using stranger = await DeviceLink.open(world.hub);
  const on = way === 'renew' ? link : stranger;
  const start = way === 'renew' ? undefined : await on.ask('POST', '/v1/recover/challenge', { deviceId: 'press' });
  const nonce =
    start === undefined ? await on.challenge() : parseBase64url(accepted(start, challengeResponse).nonce, 'nonce');
  const { request, spki } = await newOperationalKey('press');
  const proof = await device.certifyProof(way, { nonce, spki, exporter: on.exporter });
  const path = way === 'renew' ? '/v1/renew' : '/v1/recover/complete';
  return await on.ask('POST', path, { ...proof, certificateRequest: toBase64url(request) });
}

async function removeIntermediate(): Promise<void> {
  const certificates = [toBase64(intermediate.root.der)];
  await world.operator.send('POST', '/v1/vendor-roots', { kind: 'dice', certificates }, vendorRootImported);
  const path = `/v1/vendor-roots/dice/${sha256Hex(intermediate.root.der)}?reason=stolen&force=true`;
  accepted(await world.askOperator('DELETE', path, { token: await world.adminToken() }), vendorRootRemoved);
}

test('before it is removed, its chips enroll, attest, renew and recover', async () => {
  for (const way of ['renew', 'recover'] as const) assert.equal((await certified(way)).status, 200);
  assert.equal((await device.attest(link)).status, 200);
});

// SECURITY.md: DEV-73
test('once an intermediate is removed, a chip that sends it is refused everywhere: it attests, binds, renews and recovers no more', async () => {
  await removeIntermediate();
  const refused = { status: 403, reason: 'dice-path-refused', says: /trusts .* no more/ } as const;
  for (const way of ['renew', 'recover'] as const)
    assertRefused(await certified(way), { ...refused, code: 'renewal-refused' });
  await device.attest(link);
  const { appraisal } = await world.device('press');
  assert.equal(appraisal?.status, 'contraindicated');
  assert.deepEqual(
    appraisal.reasons.map(({ code }) => code),
    ['dice-path-refused'],
  );
  await using again = await DeviceLink.open(world.hub, device.credential);
  const evidence = await device.evidence('bind', zeroNonce, again.exporter);
  assertRefused(await again.ask('POST', '/v1/bind', { evidence }), { ...refused, code: 'bind-refused' });
});

// SECURITY.md: DEV-73
test('nor does another chip of it enroll', async () => {
  await using forged = await chip('forged');
  assertRefused(await forged.tryEnroll(world, await world.enrollmentToken()), {
    status: 403,
    code: 'enrollment-refused',
    reason: 'dice-path-refused',
  });
});
