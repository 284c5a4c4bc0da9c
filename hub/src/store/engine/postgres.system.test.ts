// PostgreSQL as the store: one writer at a time over several hubs, commits whose answer is lost, servers that cannot be the store.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { Client } from 'pg';
import { appendEntry } from '../../audit/append.ts';
import { type ChangeRecorder, Database } from '../database.ts';
import { tableList } from '../security-tables.ts';
import { serverPrograms, startTestCluster } from '../testing-cluster.ts';
import { databaseOf, dropDatabase, withServer } from '../testing-place.ts';
import type { PostgresPlace } from './postgres-place.ts';
import type { RowChange } from './row-watch.ts';

const isRootInCi = process.env['CI'] === 'true' && process.getuid?.() === 0;
const missing = serverPrograms() === undefined && !isRootInCi ? 'PostgreSQL is not installed' : false;
const onServer = { skip: missing };

const publisher = (fingerprint: string) => ({ fingerprint, name: 'n', public_key: 'k', added_at: 1 });
const entry = (subject: string) => ({ at: 1, kind: 'test', actor: 'hub', subject, data: {} });

async function emptyStore(name: string) {
  const place = await databaseOf(`${name} ${process.pid}`);
  return { place, [Symbol.asyncDispose]: () => dropDatabase(place) };
}

async function indexesOf({ read }: Database): Promise<readonly number[]> {
  const rows = await read.selectFrom('audit_entry').select('log_index').orderBy('log_index').execute();
  return rows.map(({ log_index: index }) => index);
}

// Prints whether the client of PostgreSQL is loaded after a store on SQLite was opened, and after the engine was.
const loads = `
import { createRequire } from 'node:module';
const isLoaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('/node_modules/pg/'));
const engine = await import(new URL('./place.ts', base));
await using opened = await engine.openEngine(':memory:', { charge: () => undefined, numbered: {} });
const before = isLoaded();
await import(new URL('./postgres-engine.ts', base));
console.log(before, isLoaded());`;

test('a store on SQLite loads no client of PostgreSQL', () => {
  const text = `const base = ${JSON.stringify(import.meta.url)};${loads}`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
    encoding: 'utf8',
    cwd: import.meta.dirname,
  });
  assert.equal(stdout.trim(), 'false true', stderr);
});

test('the entries of two hubs that write at once have all numbers, each once', onServer, async () => {
  await using store = await emptyStore('two');
  await using one = await Database.open(store.place);
  await using other = await Database.open(store.place);
  const given = await Promise.all(
    Array.from({ length: 400 }, (_, at) =>
      (at % 2 === 0 ? one : other).write((trx) => appendEntry(trx, entry(`${at}`))),
    ),
  );
  const all = Array.from({ length: 400 }, (_, at) => at);
  assert.deepEqual(
    given.toSorted((a, b) => a - b),
    all,
  );
  assert.deepEqual(await indexesOf(one), all);
});

test(
  'a write that fails after it wrote is undone alone, and the others of its group are done once',
  onServer,
  async () => {
    await using store = await emptyStore('undone');
    await using database = await Database.open(store.place);
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'a', 'c'].map((fingerprint) =>
        database.write(async (trx) => {
          const index = await appendEntry(trx, entry(fingerprint));
          await trx.insertInto('publisher').values(publisher(fingerprint)).execute();
          if (fingerprint === 'b') throw new Error('no');
          return index;
        }),
      ),
    );
    assert.deepEqual(
      outcomes.map((each) => (each.status === 'fulfilled' ? each.value : 'failed')),
      [0, 'failed', 'failed', 1],
    );
    assert.deepEqual(await indexesOf(database), [0, 1]);
    const rows = await database.read.selectFrom('publisher').select('fingerprint').orderBy('fingerprint').execute();
    assert.deepEqual(
      rows.map(({ fingerprint }) => fingerprint),
      ['a', 'c'],
    );
  },
);

test(
  'a group that runs again gives the recorder each change once, and takes back what it had given',
  onServer,
  async () => {
    await using store = await emptyStore('again');
    await using database = await Database.open(store.place);
    const heard: string[] = [];
    await database.watch(tableList.replayed, {
      admit: async (_, changes) => void heard.push(...changes.map(({ name }) => name)),
      due: () => false,
      record: async () => undefined,
      settled: (committed) => void (committed ? heard.push('kept') : heard.splice(0)),
    });
    const add = (fingerprint: string) =>
      database.write((trx) => trx.insertInto('publisher').values(publisher(fingerprint)).execute());
    await Promise.allSettled(['a', 'a', 'b'].map(add));
    assert.deepEqual(heard, ['a n k', 'b n k', 'kept']);
  },
);

test('a write that caught the failure of its own statement fails, and is not taken for done', onServer, async () => {
  await using store = await emptyStore('caught');
  await using database = await Database.open(store.place);
  const caught = database.write(async (trx) => {
    await sql`select * from absent`.execute(trx).catch(() => undefined);
    return 'done';
  });
  const other = database.write((trx) => appendEntry(trx, entry('other')));
  await assert.rejects(caught, /aborted/);
  assert.equal(await other, 0);
});

test('two hubs that open an empty database at once make its tables once', onServer, async () => {
  await using store = await emptyStore('empty');
  const opened = await Promise.all([Database.open(store.place), Database.open(store.place)]);
  const given = await Promise.all(opened.map((each) => each.write((trx) => appendEntry(trx, entry('a')))));
  for (const each of opened) await each[Symbol.asyncDispose]();
  assert.deepEqual(
    given.toSorted((a, b) => a - b),
    [0, 1],
  );
});

test('a write reads the entries that its group has appended', onServer, async () => {
  await using store = await emptyStore('reads');
  await using database = await Database.open(store.place);
  const count = await database.write(async (trx) => {
    await appendEntry(trx, entry('a'));
    await appendEntry(trx, entry('b'));
    const rows = await trx.selectFrom('audit_entry').select('log_index').execute();
    return rows.length;
  });
  assert.equal(count, 2);
});

test(
  'values come as they do from SQLite: numbers, bytes of their own, nulls first; U+0000 is refused',
  onServer,
  async () => {
    await using store = await emptyStore('values');
    await using database = await Database.open(store.place);
    const bytes = new Uint8Array([0, 255, 39, 92]);
    const row = await database.write(async (trx) => {
      const { rows } =
        await sql<object>`select ${bytes}::bytea as bytes, 9007199254740991::bigint as large, sum(x) as sum, 1 = 1 as yes, 0.1::float8 as part from (values (1::bigint), (2)) v(x)`.execute(
          trx,
        );
      return rows[0];
    });
    assert.deepEqual({ ...row }, { bytes, large: Number.MAX_SAFE_INTEGER, sum: 3, yes: 1, part: 0.1 });
    await assert.rejects(sql`select 9007199254740993::bigint as n`.execute(database.read), RangeError);
    await database.write(async (trx) => {
      const person = (name: string, disabled_at: number | null) => ({
        name,
        added_at: 1,
        disabled_at,
        disabled_reason: null,
      });
      await trx
        .insertInto('person')
        .values([person('b', 2), person('a', null), person('B', 1)])
        .execute();
    });
    const named = async (direction: 'asc' | 'desc') => {
      const people = database.read
        .selectFrom('person')
        .select('name')
        .orderBy('disabled_at', direction)
        .orderBy('name');
      return (await people.execute()).map(({ name }) => name).join('');
    };
    assert.deepEqual([await named('asc'), await named('desc')], ['aBb', 'bBa']);
    const nul = database.write((trx) => trx.insertInto('publisher').values(publisher('a\0b')).execute());
    await assert.rejects(nul, { code: 'request-invalid', message: /U\+0000/ });
  },
);

/** Rows as the recorder of a hub sees them. */
async function changesOf(place: string | PostgresPlace): Promise<readonly RowChange[]> {
  const heard: RowChange[] = [];
  const recorder: ChangeRecorder = {
    admit: async (_, changes) => void heard.push(...changes),
    due: () => false,
    record: async () => undefined,
    settled: () => undefined,
  };
  await using database = await Database.open(place);
  await database.watch(tableList.replayed, recorder);
  const site = { description: 'S\u00fcd "\u20ac"', time_zone: 'UTC', networks: '', zone: null, created_at: 5 };
  const where = { country: 'AT', latitude: -0.1, longitude: 0, radius_metres: null };
  await database.write(async (trx) => {
    await trx
      .insertInto('site')
      .values({ name: 'graz', ...site, ...where })
      .execute();
    await trx.updateTable('site').set({ latitude: 48.208176 }).where('name', '=', 'graz').execute();
    await trx.updateTable('site').set({ latitude: 48.208176 }).where('name', '=', 'graz').execute();
    const document = { device_id: 'a', version: 1, document: '{}', updated_at: 1 };
    await trx
      .insertInto('device_document')
      .values([
        { ...document, side: 'reported' },
        { ...document, side: 'desired' },
      ])
      .execute();
    await trx
      .insertInto('device_hybrid_key')
      .values({ device_id: 'a', public_key: new Uint8Array([1, 254]), registered_at: 2 })
      .execute();
    await trx.deleteFrom('site').execute();
  });
  await database
    .write(async (trx) => {
      await trx.insertInto('device_tag').values({ device_id: 'a', key: 'k', value: 'undone' }).execute();
      throw new Error('no');
    })
    .catch(() => undefined);
  return heard;
}

test(
  'a connection that is lost between two reads of one request fails the second one, and ends no hub',
  onServer,
  async () => {
    await using store = await emptyStore('between');
    await using database = await Database.open(store.place);
    const reading = database.read.connection().execute(async (db) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db);
      const pid = rows[0]?.pid;
      await withServer(async (client) => {
        await client.query('select pg_terminate_backend($1, 10000)', [pid]);
      });
      await db.selectFrom('publisher').select('name').execute();
    });
    await assert.rejects(reading);
    assert.deepEqual(await database.read.selectFrom('publisher').select('name').execute(), []);
  },
);

test('no value is in an empty list, and every value is outside of it', onServer, async () => {
  await using store = await emptyStore('empty');
  await using database = await Database.open(store.place);
  await database.write((trx) => trx.insertInto('publisher').values(publisher('a')).execute());
  const found = async (operator: 'in' | 'not in') =>
    (await database.read.selectFrom('publisher').select('fingerprint').where('fingerprint', operator, []).execute())
      .length;
  assert.deepEqual([await found('in'), await found('not in')], [0, 1]);
  await database.write((trx) => trx.deleteFrom('publisher').where('fingerprint', 'not in', []).execute());
  assert.equal(await found('not in'), 0);
});

test('the changes of rows are those that SQLite reports, with the same texts', onServer, async () => {
  await using store = await emptyStore('watch');
  const folder = await mkdtemp('/tmp/edgekeep-watch-');
  try {
    const onSqlite = await changesOf(join(folder, 'hub.sqlite'));
    assert.equal(onSqlite.length, 5);
    const texts = (changes: readonly RowChange[]) => changes.map(({ table, before, after }) => [table, before, after]);
    assert.deepEqual(texts(await changesOf(store.place)), texts(onSqlite));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('what another program changes is reported to nobody', onServer, async () => {
  await using store = await emptyStore('foreign');
  assert.equal((await changesOf(store.place)).length, 5);
  const other = new Client({ ...store.place, password: '' });
  const heard: unknown[] = [];
  other.on('notice', (notice) => heard.push(notice));
  await other.connect();
  try {
    await other.query("insert into device_tag (device_id, key, value) values ('b', 'k', 'v')");
    assert.deepEqual(heard, []);
    await other.query("select set_config('edgekeep.watch', 'on', false)");
    await other.query("update device_tag set value = 'w'");
    assert.equal(heard.length, 1);
  } finally {
    await other.end();
  }
});

// SECURITY.md: HUB-106
test(
  'a write reads what the other hub committed before it, also where the database has another isolation by default',
  onServer,
  async () => {
    await using store = await emptyStore('isolation');
    for (const isolation of ['repeatable read', 'serializable']) {
      await withServer((client) =>
        client.query(`alter database ${store.place.database} set default_transaction_isolation = '${isolation}'`),
      );
      await using one = await Database.open(store.place);
      await using other = await Database.open(store.place);
      const before = (await indexesOf(one)).length;
      const given: number[] = [];
      await Promise.all(
        [one, other].map(async (each) => {
          for (let at = 0; at < 30; at += 1)
            given.push(await each.write((trx) => appendEntry(trx, entry(`${isolation} ${at}`))));
        }),
      );
      assert.deepEqual(
        given.toSorted((a, b) => a - b),
        Array.from({ length: 60 }, (_, at) => before + at),
      );
    }
  },
);

/** An ErrorResponse of a server with lc_messages = ru_RU.UTF-8: the severity is in its language. */
const shutDownInRussian = (() => {
  const fields = Buffer.from('S\u0412\u0410\u0416\u041d\u041e\0VFATAL\0C57P01\0Mterminating connection\0\0');
  const head = Buffer.from('E\0\0\0\0');
  head.writeUInt32BE(4 + fields.length, 1);
  return Buffer.concat([head, fields]);
})();

/**
 * Between a hub and the server: cuts the connection at the next commit, before or after the server got it; `refused`: after it, with an error in
 * place of the answer.
 */
async function cuttingProxy(place: PostgresPlace) {
  const folder = await mkdtemp('/tmp/edgekeep-cut-');
  let cut: 'before' | 'after' | 'refused' | undefined;
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = connect(`${place.host}/.s.PGSQL.${place.port}`);
    for (const each of [client, upstream]) {
      sockets.add(each);
      each.on('error', () => undefined);
    }
    let lost = false;
    client.on('data', (bytes) => {
      if (cut !== undefined && bytes.includes('commit')) {
        if (cut !== 'before') upstream.write(bytes);
        lost = true;
        if (cut === 'before') upstream.destroy();
        if (cut === 'refused') upstream.once('data', () => client.end(shutDownInRussian));
        else client.destroy();
        cut = undefined;
        return;
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (!lost) client.write(bytes);
      // The server has answered: now nobody waits for it.
      else upstream.end();
    });
    client.on('close', () => !lost && upstream.end());
    upstream.on('close', () => client.destroy());
  });
  server.listen(join(folder, '.s.PGSQL.5432'));
  await once(server, 'listening');
  return {
    place: { ...place, host: folder },
    cutAt: (when: 'before' | 'after' | 'refused') => (cut = when),
    /** No new connection. */
    close: () => server.close(),
    async [Symbol.asyncDispose]() {
      for (const each of sockets) each.destroy();
      server.close();
      await rm(folder, { recursive: true });
    },
  };
}

for (const [when, outcome] of [
  ['after', 'is done, once'],
  ['refused', 'and answered it with a shutdown in another language is done, once'],
  ['before', 'has failed, and nothing of it is there'],
] as const) {
  test(
    `a write whose connection ends ${when === 'refused' ? 'after' : when} the server got the commit ${outcome}`,
    onServer,
    async () => {
      await using store = await emptyStore(`cut-${when}`);
      await using proxy = await cuttingProxy(store.place);
      await using database = await Database.open(proxy.place);
      await database.write((trx) => appendEntry(trx, entry('first')));
      proxy.cutAt(when);
      const write = database.write((trx) => appendEntry(trx, entry('second')));
      const isDone = when !== 'before';
      if (isDone) assert.equal(await write, 1);
      else await assert.rejects(write, { code: 'store-unavailable' });
      const next = await database.write((trx) => appendEntry(trx, entry('third')));
      assert.equal(next, isDone ? 2 : 1);
      assert.deepEqual(
        await indexesOf(database),
        Array.from({ length: next + 1 }, (_, at) => at),
      );
    },
  );
}

test(
  'where nobody can know whether a commit was done, the request learns that, and the hub changes nothing more',
  onServer,
  async () => {
    await using store = await emptyStore('unknown');
    await using proxy = await cuttingProxy(store.place);
    await using database = await Database.open({ ...proxy.place, lookupMs: 1 });
    await database.write((trx) => appendEntry(trx, entry('first')));
    proxy.cutAt('after');
    proxy.close();
    const unknown = { code: 'outcome-unknown' };
    await assert.rejects(
      database.write((trx) => appendEntry(trx, entry('second'))),
      unknown,
    );
    await assert.rejects(
      database.write((trx) => appendEntry(trx, entry('third'))),
      unknown,
    );
    await using next = await Database.open(store.place);
    const written = await indexesOf(next);
    assert.ok(written.length === 2 || written.length === 1, `${written.length} entries`);
  },
);

test('a group that could not begin fails, and the next one begins', onServer, async () => {
  await using store = await emptyStore('begins');
  await using database = await Database.open(store.place);
  const other = new Client({ ...store.place, password: '' });
  await other.connect();
  try {
    await database.write((trx) => appendEntry(trx, entry('first')));
    await other.query('alter table engine.writer rename to gone');
    await assert.rejects(
      database.write((trx) => appendEntry(trx, entry('second'))),
      { code: 'store-failed' },
    );
    await other.query('alter table engine.gone rename to writer');
    assert.equal(await database.write((trx) => appendEntry(trx, entry('third'))), 1);
  } finally {
    await other.end();
  }
});

test('a hub goes on after the server has ended its connections', onServer, async () => {
  await using store = await emptyStore('ended');
  await using database = await Database.open(store.place);
  await database.write((trx) => appendEntry(trx, entry('first')));
  await database.read.selectFrom('audit_entry').selectAll().execute();
  await withServer((client) =>
    client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [store.place.database]),
  );
  const written = await database.write((trx) => appendEntry(trx, entry('second')));
  assert.equal(written, 1);
  assert.deepEqual(await indexesOf(database), [0, 1]);
});

const create = (database: string, how: string) =>
  withServer((client) => client.query(`create database ${database} template template0 ${how}`));

for (const [what, how, alter, why] of [
  [
    'another order of texts',
    "encoding 'UTF8' lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8'",
    '',
    /ordered by C\.UTF-8.*make it with create database/,
  ],
  ['another encoding', "encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'", '', /encoding is SQL_ASCII/],
  [
    'synchronous_commit off',
    "encoding 'UTF8' lc_collate 'C' lc_ctype 'C'",
    'set synchronous_commit = off',
    /synchronous_commit is off/,
  ],
] as const) {
  test(`a database with ${what} is refused, with what to do`, onServer, async () => {
    const database = `unfit_${process.pid}`;
    const place = { ...(await databaseOf('any')), database };
    await create(database, how);
    try {
      if (alter !== '') await withServer((client) => client.query(`alter database ${database} ${alter}`));
      await assert.rejects(Database.open(place), { code: 'store-unfit', message: why });
    } finally {
      await dropDatabase(place);
    }
  });
}

test('a server that does not write to its disk is refused, with what to do', onServer, async () => {
  for (const setting of ['fsync', 'full_page_writes']) {
    using cluster = await startTestCluster([`${setting}=off`]);
    const place = { ...(await databaseOf('any')), host: cluster.folder, database: 'postgres' };
    await assert.rejects(Database.open(place), {
      code: 'store-unfit',
      message: new RegExp(`${setting} is off.*restart`),
    });
  }
});
