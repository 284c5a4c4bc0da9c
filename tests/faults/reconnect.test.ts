// The hub is killed under a small fleet, and every device returns without help. `npm run soak -- reconnect` does it at full size.
import assert from 'node:assert/strict';
import { readFile, rm, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFleet } from '../../bench/fleet/fleet.ts';
import { freePort } from '../support/free-port.ts';
import type { FleetFile } from '../../bench/fleet/member.ts';
import { startHubProcess } from '../../bench/fleet/processes.ts';
import { ReturningFleet } from '../../bench/fleet/returning.ts';

const size = 200;
const SECONDS_MAX = 120;

test(`a hub that is killed under ${size} devices serves them all again, from one address`, async (t) => {
  const scratch = await mkdtemp(join(tmpdir(), 'edgekeep-reconnect-'));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rm(scratch, { recursive: true }));
  const { folder, file } = await makeFleet(join(scratch, 'hub'), size, await freePort());
  const members: FleetFile = JSON.parse(await readFile(file, 'utf8'));

  const first = opened.use(await startHubProcess(folder));
  const devices = opened.use(new ReturningFleet(members, first.device));
  await t.test('after a power cut, when no device has a certificate', async () => {
    devices.powerOn(0);
    const { boundAtMs, refusals } = await devices.settled(SECONDS_MAX);
    assert.deepEqual(refusals, {});
    assert.equal(boundAtMs.length, size);
  });
  // SECURITY.md: HUB-49
  await t.test('after a restart, with the certificates they have, each at a moment of its own', async () => {
    devices.mark();
    await first.kill();
    opened.use(await startHubProcess(folder));
    const { boundAtMs, refusals } = await devices.settled(SECONDS_MAX);
    assert.deepEqual(refusals, {});
    assert.equal(boundAtMs.length, size);
  });
});
