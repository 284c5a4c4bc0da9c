// One clock for the whole hub (docs/design/hub-time.md): no other file of the hub compares a stored time with the machine's clock, and a hub
// whose clock was set back says so and changes nothing.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { examineHub } from '@edgekeep/cli/doctor/policy';
import { checkHub } from '@edgekeep/hub/commands/check/check';
import { acceptClock } from '@edgekeep/hub/commands/accept-clock';
import { z } from 'zod';
import { HubWorld } from './support/hub-world.ts';

const hubSource = join(import.meta.dirname, '../hub/src');

/** Files of the hub that read the machine's clock, and why each may. */
const mayRead: Readonly<Record<string, string>> = {
  'common/clock.ts': 'is the machine’s clock, which the hub’s time is made of',
  'commands/command-line.ts': 'has a new hub begin, and compares the store of a stopped one with the machine',
  'artifact/incoming.ts': 'compares the dates of files, which have the machine’s time',
  'commands/check/artifacts.ts': 'dates its requests to the bucket, which compares them with its own clock',
  'commands/backup.ts': 'opens the keys that nodes share beside a hub or without one',
  'commands/move-store-verb.ts': 'dates the entry of the move in the store of a stopped hub',
  'commands/move-artifacts-verb.ts': 'as the check of artifacts does',
  'secrets/backup.ts': 'dates the signature of a backup, which is made beside a hub or without one',
  'secrets/restore.ts': 'compares the date of a backup’s key list with the machine’s time: there is no hub yet',
  'store/engine/sqlite-engine.ts': 'gives the store’s clock, by which leases of nodes end: a hub on SQLite has none',
  'store/migrations/0015-authority.ts': 'runs once, and only removes what was over',
};

test('only the hub’s own clock compares stored times with the present', () => {
  const files = readdirSync(hubSource, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !/\.test\.ts$|\/testing-/.test(file),
  );
  const reads = files.filter((file) =>
    /\bDate\.now\b|new Date\(\)|strftime|unixepoch|datetime\('now/.test(readFileSync(join(hubSource, file), 'utf8')),
  );
  assert.deepEqual(reads.toSorted(), Object.keys(mayRead).toSorted());
});

const readiness = z.object({ status: z.string(), failing: z.array(z.object({ resource: z.string() })) });

// SECURITY.md: HUB-69
test('a hub that starts with its clock set back is not ready, and its check, its doctor and its metric say why', async () => {
  await using world = await HubWorld.open();
  const findings = async () =>
    (await checkHub(world.hubFolder, world.clock.now())).filter(({ subject }) => subject === 'clock');
  await world.stop();
  world.clock.advanceSeconds(-86_400);
  const [checked] = await findings();
  assert.equal(checked?.state, 'failed');
  assert.match(checked?.found ?? '', /^86[34]\d\d s behind/);
  await world.start();
  const ready = async () => {
    const { body } = await world.askOperator('GET', '/readyz');
    return readiness.parse(JSON.parse(Buffer.from(body).toString()));
  };
  assert.deepEqual(
    (await ready()).failing.map(({ resource }) => resource),
    ['clock'],
  );
  const doctor = await examineHub(world.operator);
  assert.equal(doctor.find(({ subject }) => subject === "hub's clock")?.state, 'failed');
  const metrics = Buffer.from(await world.operator.getBytes('/metrics')).toString();
  assert.match(metrics, /^edgekeep_clock_behind_seconds 86[34]\d\d/m);
  await assert.rejects(world.enrollmentToken(), { code: 'clock-behind' });
  await world.stop();
  await acceptClock(world.hubFolder, world.clock.now());
  assert.equal((await findings())[0]?.state, 'ok');
  await world.start();
  await world.enrollmentToken();
});
