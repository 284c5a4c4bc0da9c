// A machine's clock was ahead, is right again, and the hub starts again: an operator can read what is wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertList } from '@edgekeep/wire/api/alert';
import { z } from 'zod';
import { HubWorld } from '../support/hub-world.ts';

test('a hub that starts behind its latest time has a certificate that is valid by the right clock, and says what is wrong', async () => {
  await using world = await HubWorld.open();
  world.clock.advanceSeconds(8 * 86_400);
  await world.stop();
  world.clock.advanceSeconds(-8 * 86_400);
  await world.start();
  await world.operator.get('/v1/alerts', alertList);
  // The same where the certificate was made while the clock was ahead, and the hub runs on.
  world.clock.advanceSeconds(8 * 86_400);
  await world.restart();
  world.clock.advanceSeconds(-8 * 86_400);
  await assert.rejects(world.operator.get('/v1/alerts', alertList), { code: 'clock-behind' });
  await world.hub.sweepAuthorities();
  await world.operator.get('/v1/alerts', alertList);
  const group = { name: 'presses' };
  await assert.rejects(world.operator.send('POST', '/v1/groups', group, z.unknown()), { code: 'clock-behind' });
});
