// Wrong clocks: a device's by a day, the hub's set forward and back while it runs. What has ended stays ended, nothing crashes, and every
// refusal says why.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseCrl } from '@edgekeep/core/identity/crl';
import { toHex } from '@edgekeep/core/bytes';
import { revocationResponse } from '@edgekeep/wire/api/revocation';
import { assertRefused } from '../support/answer.ts';
import { DeviceLink } from '../support/device-link.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { allowSoftware, TestAgent } from '../support/test-agent.ts';

const daySeconds = 86_400;
const models = [{ name: 'surface', use: 'program' as const }];
let fleet: SoftwareWorld;
before(async () => {
  fleet = await SoftwareWorld.open();
  await fleet.world.publishModel('surface', '1.0.0', 'weights');
});
after(() => fleet?.[Symbol.asyncDispose]());

for (const [what, aheadSeconds] of [
  ['a day ahead', daySeconds],
  ['a day behind', -daySeconds],
] as const) {
  test(`a device whose clock is ${what} enrolls, takes no result that its clock contradicts, and holds no key`, async () => {
    const { world } = fleet;
    await allowSoftware(world);
    await using device = await TestAgent.prepare(world, `skewed-${aheadSeconds > 0 ? 'ahead' : 'behind'}`, { models });
    const story = await device.start({ clock: () => world.clock.now() + aheadSeconds * 1_000 });
    await story.next('connected');
    const { step, code, message } = await story.next('failed');
    assert.deepEqual([step, code], ['check-in', 'hub-answer-invalid']);
    assert.match(message, /86[34]\d\d seconds (old|in the future)/);
    const { models: held, connected } = device.agent.status();
    assert.deepEqual([held[0]?.state, connected], ['locked', true]);
  });
}

// SECURITY.md: HUB-69
test('a hub whose clock is set forward ends what is over by it, and back revives nothing: it changes nothing until its clock is right', async (t) => {
  const { world, device, link } = fleet;
  const before = await device.release(link, 'surface', '1.0.0');
  assert.ok(before.lease.notAfter > world.clock.now() / 1_000);
  const serial = (await world.device('software')).certificates.at(-1)?.serial ?? '';
  const order = { serials: [serial], reason: 'keyCompromise', note: 'a test' };

  await t.test('forward: the certificate is over, and the refusal says what to do', async () => {
    world.clock.advanceSeconds(8 * daySeconds);
    assertRefused(await link.ask('POST', '/v1/challenges'), { status: 401, code: 'certificate-required' });
  });
  await t.test('back: the certificate stays over, and no order of an operator is carried out', async () => {
    world.clock.advanceSeconds(-8 * daySeconds);
    assertRefused(await link.ask('POST', '/v1/challenges'), { status: 401, code: 'certificate-required' });
    const revoked = world.operator.send('POST', '/v1/certificates/revoke', order, revocationResponse);
    await assert.rejects(revoked, { code: 'clock-behind' });
  });
  await t.test('an operator who accepts the time of the machine gets the device back', async () => {
    await world.setBack(0);
    await using again = await device.connect(world.hub);
    assert.equal((await device.attest(again)).status, 200);
    assert.equal((await world.entries('hub-clock-accepted')).length, 1);
  });
  await t.test(
    'what was revoked stays revoked, and the number of the list grows, also with an earlier date',
    async () => {
      const list = async () => parseCrl(await world.operator.getBytes('/crl'));
      await world.operator.send('POST', '/v1/certificates/revoke', order, revocationResponse);
      const here = await list();
      await world.setBack(daySeconds);
      await world.operator.send('POST', '/v1/certificates/revoke', { ...order, note: 'again' }, revocationResponse);
      const earlier = await list();
      for (const { revoked } of [here, earlier]) assert.ok(revoked.has(serial));
      assert.ok(toHex(here.number) < toHex(earlier.number));
      await using again = await DeviceLink.open(world.hub, device.credential);
      assertRefused(await device.bind(again), { status: 403, code: 'certificate-revoked' });
      world.clock.advanceSeconds(daySeconds);
    },
  );
});
