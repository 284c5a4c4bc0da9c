// An imported endorsement key lets that TPM enroll without a token, only under its id; a blocked one is refused, with or without a token.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { parseBase64url } from '@edgekeep/core/bytes';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import * as admission from '@edgekeep/wire/api/admission';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { historyView, importReport } from '@edgekeep/wire/api/registry';
import type { z } from 'zod';
import { accepted, assertRefused } from './support/answer.ts';
import type { TestDevice } from './support/test-device.ts';
import { skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';

suite('the allow list', { skip: skipWithoutTpm }, () => {
  let tpms: TpmWorld;
  let press: TestDevice;
  before(async () => {
    tpms = await TpmWorld.open();
    press = await tpms.newDevice('press-1');
  });
  after(() => tpms?.[Symbol.asyncDispose]());

  const send = async (line: object) => {
    const { world } = tpms;
    const input = { token: await world.adminToken(), body: JSON.stringify(line), contentType: 'application/x-ndjson' };
    const report = accepted(await world.askOperator('POST', '/v1/devices/import', input), importReport);
    assert.equal(report.rejected, 0, JSON.stringify(report));
  };

  test('a TPM that nobody expects needs a token', async () => {
    assertRefused(await press.tryEnroll(tpms.world, undefined), { status: 403, code: 'enrollment-refused' });
  });

  test('an expected TPM enrolls without one, under its id only', async () => {
    const rootSha256 = await rootOf(press);
    await send({ id: 'press-1', tags: { line: 'press' }, rootSha256 });
    const start = (honest: object) => ({ ...honest, deviceId: 'press-2' });
    const asAnother = await press.tryEnroll(tpms.world, await tpms.world.enrollmentToken(), { start });
    assertRefused(asAnother, { status: 403, code: 'enrollment-refused', reason: 'root-of-trust-reserved' });
    accepted(await press.tryEnroll(tpms.world, undefined), certificateResponse);
    assert.deepEqual((await tpms.world.device('press-1')).tags, { line: 'press' });
    const { changes } = await tpms.world.operator.get('/v1/devices/press-1/history', historyView);
    assert.deepEqual([changes.at(-1)?.actor, changes.at(-1)?.to], ['allow-list', 'registered']);
  });

  test('a blocked TPM enrolls neither with a token nor because it is expected', async () => {
    const stolen = await tpms.newDevice('press-3');
    const rootSha256 = await rootOf(stolen);
    await send({ id: 'press-3', rootSha256 });
    await send({ block: rootSha256, reason: 'lot 17 was stolen' });
    const blocked = { status: 403, code: 'enrollment-refused', reason: 'root-of-trust-blocked', says: /lot 17/ };
    assertRefused(await stolen.tryEnroll(tpms.world, undefined), blocked);
    assertRefused(await stolen.tryEnroll(tpms.world, await tpms.world.enrollmentToken()), blocked);
  });

  test('a block that is taken back lets the TPM enroll; a block does not touch who has enrolled', async () => {
    const { world } = tpms;
    const found = await tpms.newDevice('press-4');
    const rootSha256 = await rootOf(found);
    const block = async (reason: string) =>
      world.operator.send('POST', '/v1/blocked-roots', { rootSha256, reason }, admission.blockResponse);
    assert.equal((await block('lost')).deviceId, null);
    assertRefused(await found.tryEnroll(world, await world.enrollmentToken()), {
      status: 403,
      code: 'enrollment-refused',
      reason: 'root-of-trust-blocked',
      says: /lost/,
    });
    const listed = await world.operator.get('/v1/blocked-roots', admission.blockedRootList);
    assert.equal(listed.blocked.find((row) => row.rootSha256 === rootSha256)?.reason, 'lost');
    const path = `/v1/blocked-roots/${rootSha256}/unblock`;
    await world.operator.send('POST', path, { reason: 'found' }, admission.unblockResponse);
    accepted(await found.tryEnroll(world, await world.enrollmentToken()), certificateResponse);
    assert.equal((await block('again')).deviceId, 'press-4');
    await using link = await found.connect(world.hub);
    assert.equal((await found.attest(link)).status, 200);
    assert.equal((await world.entries('root-of-trust-unblocked')).length, 1);
  });

  test('an expected device that was taken back is expected no more, and its id is free', async () => {
    const { world } = tpms;
    const wanted = await tpms.newDevice('press-5');
    await send({ id: 'press-5', tags: { line: 'press' }, rootSha256: await rootOf(wanted) });
    const waiting = async () => {
      const path = '/v1/expected-devices?state=waiting&limit=1';
      const ids: string[] = [];
      for (let after: string | null = ''; after !== null;) {
        const page: z.infer<typeof admission.expectedDeviceList> = await world.operator.get(
          `${path}&after=${after}`,
          admission.expectedDeviceList,
        );
        ids.push(...page.expected.map(({ id }) => id));
        after = page.next;
      }
      return ids;
    };
    assert.deepEqual(await waiting(), ['press-3', 'press-5']);
    const path = '/v1/expected-devices/press-5';
    await world.operator.send('DELETE', path, undefined, admission.expectedDeviceRemoved);
    assert.deepEqual(await waiting(), ['press-3']);
    assertRefused(await wanted.tryEnroll(world, undefined), { status: 403, code: 'enrollment-refused' });
    accepted(await wanted.tryEnroll(world, await world.enrollmentToken()), certificateResponse);
    assert.deepEqual((await world.device('press-5')).tags, {});
    const again = await world.askOperator('DELETE', path, { token: await world.adminToken() });
    assertRefused(again, { status: 404, code: 'not-found' });
    const [entry] = await world.entries('expected-device-removed');
    assert.equal(entry?.subject, 'device:press-5');
  });
});

async function rootOf(device: TestDevice): Promise<string> {
  const identity = await device.identity();
  if (identity.kind !== 'tpm') throw new TypeError('a device with a TPM');
  const key = publicKeyOf(parsePublic(parseBase64url(identity.endorsementKey, 'endorsementKey')));
  return createHash('sha256').update(encodeSpki(key)).digest('hex');
}
