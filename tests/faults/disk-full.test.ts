// A full disk: the hub reports it by a named error, releases nothing, and works again once there is space.
import assert from 'node:assert/strict';
import { cp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLogSource } from '@edgekeep/cli/audit/log-source';
import { verifyLog } from '@edgekeep/cli/audit/verify-log';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { assertRefused } from '../support/answer.ts';
import { SmallDisk, skipWithoutSmallDisk } from '../support/small-disk.ts';
import { SoftwareWorld } from '../support/software-world.ts';

const skip = await skipWithoutSmallDisk();
const diskMegabytes = 8;

/** The part of the hub's folder on the small disk: all of it, or the public part. */
for (const part of ['store', 'log'] as const) {
  test(`a hub whose ${part} is on a full disk releases nothing, and recovers`, { skip }, async () => {
    await using fleet = await SoftwareWorld.open();
    const { world, device } = fleet;
    await world.publishModel('surface', '1.0.0', 'weights');
    await world.stop();
    const place = part === 'log' ? join(world.hubFolder, 'log') : world.hubFolder;
    await using disk = await onSmallDisk(place);
    await world.start();
    try {
      await fleet.reconnect();
      await device.release(fleet.link, 'surface', '1.0.0');
      const before = (await world.device('software')).leases.length;

      await disk.fill();
      for (let attempt = 0; attempt < 3; attempt += 1) {
        const answer = await device.askForKey(fleet.link, 'surface', '1.0.0');
        assertRefused(answer, { status: 500, code: 'store-failed' });
        assert.ok(!Buffer.from(answer.body).includes('wrappedKey'));
      }
      if (part === 'store') {
        assert.equal((await world.device('software')).leases.length, before, 'a lease was kept that nobody got');
        await assert.rejects(world.enrollmentToken(), { code: 'store-failed' });
      }
      const notReady = await world.askOperator('GET', '/readyz');
      assert.equal(notReady.status, 503);
      assert.match(Buffer.from(notReady.body).toString(), part === 'log' ? /"(log|disk)"/ : /"(disk|store)"/);
      // Requests that need no space are still answered.
      assert.equal((await world.askOperator('GET', '/healthz')).status, 200);

      await disk.free();
      const { lease } = await device.release(fleet.link, 'surface', '1.0.0');
      await world.integrated();
      await assertLogVerifies(fleet);
      await world.restart();
      await fleet.reconnect();
      assert.ok((await world.device('software')).leases.some(({ id }) => id === lease.id));
      await device.release(fleet.link, 'surface', '1.0.0');
    } finally {
      await world.stop();
    }
  });
}

/** Moves a folder's content onto a small disk mounted in its place. */
async function onSmallDisk(place: string): Promise<SmallDisk> {
  const content = `${place}-content`;
  await rename(place, content);
  const disk = await SmallDisk.mount(place, diskMegabytes);
  await cp(content, place, { recursive: true });
  await rm(content, { recursive: true });
  return disk;
}

async function assertLogVerifies({ world }: SoftwareWorld): Promise<void> {
  const folder = join(world.hubFolder, 'log');
  const opened = openCheckpoint(await readFile(join(folder, 'checkpoint')), world.hub.logKey);
  if (opened.kind !== 'verified') assert.fail(opened.reasons.join('; '));
  const options = { hashesOnly: false, progress: () => undefined };
  const verdict = await verifyLog(openLogSource(folder), opened.checkpoint, options);
  assert.equal(verdict.kind, 'verified', JSON.stringify(verdict));
}
