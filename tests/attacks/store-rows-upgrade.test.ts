// Somebody writes into the store of a stopped hub before an upgrade, or between its two halves: the rows are compared by the list of the version that
// wrote them, and none becomes a row that the log vouches for because another version lists the tables anew.
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { acceptClock } from '@edgekeep/hub/commands/accept-clock';
import { checkHub } from '@edgekeep/hub/commands/check/check';
import { Database } from '@edgekeep/hub/store/database';
import { openReader } from '@edgekeep/hub/store/engine/place';
import { isMigrated } from '@edgekeep/hub/store/migrate';
import type { Tables } from '@edgekeep/hub/store/schema';
import { z } from 'zod';
import { HubWorld } from '../support/hub-world.ts';
import { OldWorld } from '../upgrade/old-world.ts';
import { editOldStore } from '../upgrade/vouched-store.ts';

const mallory = `insert into api_token (sha256, name, person, roles, scopes, created_at, created_by, expires_at)
  values ('${'ab'.repeat(32)}', 'mine', 'admin', 'administrator', 'admin', 1, 'hub', 4000000000000)`;
const refused = {
  code: 'state-refused',
  message: /before the upgrade of this store: .*api_token .* has no entry in the log/,
};

function run(file: string, statement: string): void {
  using store = new DatabaseSync(file);
  store.exec(statement);
}

const reasons = async (world: HubWorld) =>
  (await world.entries('security-state')).map(({ data }) => z.looseObject({ reason: z.string() }).parse(data).reason);

/** As a version leaves it that lists one table less. */
const withoutSites = (text: string) => {
  const tables = z.array(z.looseObject({ table: z.string() })).parse(JSON.parse(text));
  return JSON.stringify(tables.filter(({ table }) => table !== 'site'));
};

// SECURITY.md: HUB-104
test('an administrator who was written into the store of the version before stops the upgrade', async () => {
  await using old = await OldWorld.unpack('before-hour');
  const before = old.at('hub', 'hub.sqlite');
  run(before, mallory);
  const found = (await checkHub(old.at('hub'), Date.now())).find(({ subject }) => subject === 'rows');
  assert.match(`${found?.state} ${found?.found}`, /^failed .*api_token ".*" has no entry in the log$/);
  const start = HubWorld.reopen(old.at(), { logLevel: 'silent', device: { port: 0 }, operator: { port: 0 } });
  await assert.rejects(start, refused);
});

// SECURITY.md: HUB-104
test('a version that changes nothing but the list of tables adopts no foreign row', async () => {
  await using world = await HubWorld.open();
  await world.stop();
  await editOldStore(world.hubFolder, () => undefined, withoutSites);
  await world.restart();
  assert.deepEqual((await reasons(world)).slice(-1), ['layout']);
  await world.stop();
  await editOldStore(world.hubFolder, () => undefined, withoutSites);
  run(world.storeFile, mallory);
  await assert.rejects(world.start(), refused);
});

// SECURITY.md: HUB-104
test('an upgrade that died leaves the store as it was, so a row that is written then is compared before the next one', async () => {
  await using old = await OldWorld.unpack('before-world');
  const file = old.at('hub', 'hub.sqlite');
  const died = Database.open(file, 'optional', undefined, async () => {
    throw new RangeError('it died here');
  });
  await assert.rejects(died, /it died here/);
  await using store = await openReader<Tables>(file);
  assert.equal(await isMigrated(store), false);
});

// SECURITY.md: HUB-104
test('the way back from a wrong clock upgrades no store: it has no key to compare the rows with', async () => {
  await using old = await OldWorld.unpack('before-world');
  await assert.rejects(acceptClock(old.at('hub'), Date.now()), {
    code: 'conflict',
    message: /written by another version/,
  });
  await using store = await openReader<Tables>(old.at('hub', 'hub.sqlite'));
  assert.equal(await isMigrated(store), false);
});
