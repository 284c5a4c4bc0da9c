// Rows that were written into the store of a running hub so that its check fails on them: the hub ends all the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testEngine } from '@edgekeep/hub/store/testing-place';
import { HubWorld } from '../support/hub-world.ts';
import { inStore, rowsIn } from '../support/outside-store.ts';

const mallory = "insert into person (name, added_at) values ('mallory', 1)";

/** The hub ends, and does not start on such a store without saying what it found. */
async function ends(...statements: readonly string[]): Promise<void> {
  await using world = await HubWorld.open();
  await inStore(world.place, async (store) => {
    for (const statement of statements) await store.run(statement);
  });
  const refused = Promise.withResolvers<string>();
  void world.hub.refused.then(({ code }) => refused.resolve(code));
  await world.hub.checkState().catch((error: unknown) => refused.resolve(`the check failed: ${String(error)}`));
  assert.equal(await refused.promise, 'state-refused');
}

// SECURITY.md: HUB-71
test('rows whose names fill more than an entry of the log are found', () =>
  ends(
    testEngine === 'sqlite'
      ? `with recursive n (i) as (select 1 union all select i + 1 from n where i < 40) insert into person (name, added_at) select i || replace(hex(zeroblob(95)), '0', char(128512)), 1 from n`
      : 'insert into person (name, added_at) select i || repeat(chr(128512), 190), 1 from generate_series(1, 40) as n (i)',
  ));

// SECURITY.md: HUB-71
test('a row with a number that the check cannot read is found', () =>
  ends(
    testEngine === 'sqlite'
      ? "insert into person (rowid, name, added_at) values (9007199254740993, 'mallory', 1)"
      : "insert into person (name, added_at) values ('mallory', 9007199254740993)",
  ));

// SECURITY.md: HUB-71
test('a row is found although a column of another table has another name', () =>
  ends(mallory, 'alter table country_network rename column country to land'));

// SECURITY.md: HUB-71
test('a row is found although the list of rows is gone', () => ends(mallory, 'drop table security_row'));

// SECURITY.md: HUB-71
test('a row is found although the last checkpoint cannot be read', () =>
  ends(mallory, `update audit_checkpoint set note = ${testEngine === 'sqlite' ? "x'00'" : String.raw`'\x00'`}`));

// SECURITY.md: HUB-71
test('a changed publisher with releases is not removed: the hub says what it found, and does not start', async () => {
  await using world = await HubWorld.open();
  await world.publishModel('surface', '1.0.0', 'weights');
  await world.stop();
  await inStore(world.place, (store) => store.run("update publisher set name = 'mallory'"));
  await assert.rejects(world.start(), { code: 'state-refused', message: /; publisher "[^"]*" is gone or changed$/ });
  assert.equal((await rowsIn(world.place, 'select * from refused_row')).length, 2);
});
