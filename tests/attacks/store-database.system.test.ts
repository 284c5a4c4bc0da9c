// Somebody with every right in the database of a hub leaves something there that acts on rows: the hub does not start on it, and ends where it finds it
// while it runs. What acts on rows in a file of SQLite is in store-rows.test.ts, and the rows themselves are there for both engines.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { databaseOf, dropDatabase } from '@edgekeep/hub/store/testing-place';
import { onServer } from '@edgekeep/hub/store/testing-server';
import type { PostgresPlace } from '@edgekeep/hub/store/engine/postgres-place';
import { personList } from '@edgekeep/wire/api/people';
import { HubWorld } from '../support/hub-world.ts';
import { inStore } from '../support/outside-store.ts';
import { addPerson } from '../support/people.ts';

let place: PostgresPlace;
let world: HubWorld;

before(async () => {
  if (onServer.skip !== false) return;
  place = await databaseOf(`store-database-${process.pid}`);
  world = await HubWorld.open({ place });
  await world.stop();
});
after(async () => {
  if (onServer.skip !== false) return;
  await world?.[Symbol.asyncDispose]();
  await dropDatabase(place);
});

async function run(...statements: readonly string[]): Promise<void> {
  await inStore(place, async (store) => {
    for (const statement of statements) await store.run(statement);
  });
}

const refused = { code: 'state-refused', message: /^the store is not what its log says: the store has a / };
const addsMallory = "begin insert into person (name, added_at) values ('mallory', 1); return null; end";
const elsewhere = [
  'create schema elsewhere',
  `create function elsewhere.mine() returns trigger language plpgsql as $$ ${addsMallory} $$`,
];

interface Left {
  readonly what: string;
  readonly there: readonly string[];
  readonly away: readonly string[];
}

const left: readonly Left[] = [
  {
    what: 'trigger',
    there: [
      ...elsewhere,
      'create trigger mine after insert on audit_entry for each row execute function elsewhere.mine()',
    ],
    away: ['drop schema elsewhere cascade'],
  },
  {
    what: 'rule',
    there: ["create rule mine as on insert to alert do also insert into person (name, added_at) values ('mallory', 1)"],
    away: ['drop rule mine on alert'],
  },
  { what: 'view', there: ['create view mine as select 1 as one'], away: ['drop view mine'] },
  {
    what: 'policy of rows',
    there: ['alter table revocation enable row level security', 'alter table revocation force row level security'],
    away: ['alter table revocation no force row level security', 'alter table revocation disable row level security'],
  },
  {
    what: 'function that answers in the place of a built-in one',
    there: ["create function lower(text) returns text immutable language sql as $$ select 'admin' $$"],
    away: ['drop function public.lower(text)'],
  },
  {
    what: 'table that is a part of another one',
    there: ['create table mine () inherits (person)', "insert into mine (name, added_at) values ('mallory', 1)"],
    away: ['drop table mine'],
  },
  {
    what: "trigger of the hub's that was switched off",
    there: ['alter table person disable trigger edgekeep_watch'],
    away: ['alter table person enable trigger edgekeep_watch'],
  },
  {
    what: "trigger with the name of the hub's that does something else",
    there: [
      ...elsewhere,
      'drop trigger edgekeep_watch on person',
      'create trigger edgekeep_watch after insert or update or delete on person for each row execute function elsewhere.mine()',
    ],
    away: ['drop schema elsewhere cascade'],
  },
];

for (const { what, there, away } of left) {
  // SECURITY.md: HUB-111
  test(`a database in which somebody left a ${what} keeps the hub from starting`, onServer, async () => {
    await run(...there);
    await assert.rejects(world.start(), refused);
    await run(...away);
  });
}

// SECURITY.md: HUB-111
test(
  "functions of the hub's triggers that were replaced while it was stopped are made anew at its start",
  onServer,
  async () => {
    await run(
      `create or replace function engine.watch_person() returns trigger language plpgsql as $$ begin return null; end $$`,
    );
    await world.start();
    await addPerson(world, 'ben');
    await world.hub.checkState();
    assert.equal((await world.entries('rows-refused')).length, 0);
    const { people } = await world.operator.get('/v1/people', personList);
    assert.deepEqual(people.map(({ name }) => name).toSorted(), ['admin', 'ben']);
  },
);

// SECURITY.md: HUB-111
test('a hub ends when a function of its triggers is replaced while it runs', onServer, async () => {
  await run(
    `create or replace function engine.watch_api_token() returns trigger language plpgsql as $$ begin return null; end $$`,
  );
  await world.hub.checkState();
  assert.equal((await world.hub.refused).code, 'state-refused');
  await world.restart();
});

interface Moment {
  readonly what: string;
  readonly body: string;
}

const moments: readonly Moment[] = [
  {
    what: 'a row of their own, reported as if the hub had made it',
    body: "if new.name = 'carl' then insert into person (name, added_at) values ('mallory', 1); end if; return null;",
  },
  {
    what: 'a report that is none',
    body: "raise notice using errcode = 'EKROW', message = 'x'; return null;",
  },
];

for (const { what, body } of moments) {
  // SECURITY.md: HUB-111
  test(
    `a trigger that is there for one write of the hub makes no log vouch for ${what}, and ends the hub`,
    onServer,
    async () => {
      await run(
        'create schema elsewhere',
        `create function elsewhere.mine() returns trigger language plpgsql as $$ begin ${body} end $$`,
        'create trigger mine after insert on person for each row execute function elsewhere.mine()',
      );
      await assert.rejects(addPerson(world, 'carl'));
      assert.equal((await world.hub.refused).code, 'state-refused');
      await run('drop schema elsewhere cascade');
      // A hub that ends so writes nothing more, also not that it leaves.
      await assert.rejects(world.stop(), { code: 'state-refused' });
      await world.start();
      const { people } = await world.operator.get('/v1/people', personList);
      assert.deepEqual(people.map(({ name }) => name).toSorted(), ['admin', 'ben']);
      await world.hub.checkState();
      assert.equal((await world.entries('rows-refused')).length, 0);
    },
  );
}
