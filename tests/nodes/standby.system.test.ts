// A streaming standby takes the place of its primary under an open store: what was acknowledged is there, or the hub ends.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Database } from '@edgekeep/hub/store/database';
import { latestTimeIn, storeLatest } from '@edgekeep/hub/store/hub-time';
import { PostgresServer } from '../support/faults/postgres-server.ts';
import { nodesTest } from '../support/two-nodes.ts';

const config = ['wal_level=replica', 'max_wal_senders=4', 'hot_standby=on'];

async function withPair(
  work: (pair: { primary: PostgresServer; standby: PostgresServer; address: string }) => Promise<void>,
) {
  const folder = mkdtempSync(join(tmpdir(), 'ek-pair-'));
  chmodSync(folder, 0o755);
  try {
    const address = join(folder, 's');
    await using primary = await PostgresServer.make(join(folder, '1'), { config });
    primary.serveIn(address);
    await using standby = await PostgresServer.follow(primary, join(folder, '2'), { config });
    await work({ primary, standby, address });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function tell(server: PostgresServer, statement: string): Promise<void> {
  await server.ask(async (client) => {
    await client.query(statement);
    await client.query('select pg_reload_conf()');
  });
}

async function replace(primary: PostgresServer, standby: PostgresServer, address: string): Promise<void> {
  await primary.kill();
  await standby.becomePrimary();
  standby.serveIn(address);
}

test(
  'after a synchronous standby took over, what was acknowledged is there and the store goes on',
  nodesTest,
  async () => {
    await withPair(async ({ primary, standby, address }) => {
      await tell(primary, "alter system set synchronous_standby_names = '*'");
      await primary.isFollowed();
      await using database = await Database.open(primary.placeIn(address), 'optional');
      const keep = (latest: number) => database.write((trx) => storeLatest(trx, latest));
      for (let at = 1; at <= 5; at += 1) await keep(at);
      await replace(primary, standby, address);
      assert.equal(await latestTimeIn(database.read).catch(() => latestTimeIn(database.read)), 5);
      await keep(6);
      assert.equal(await latestTimeIn(database.read), 6);
    });
  },
);

// SECURITY.md: HUB-180
test('a hub writes nothing into a database that lacks what it had acknowledged', nodesTest, async () => {
  await withPair(async ({ primary, standby, address }) => {
    await using database = await Database.open(primary.placeIn(address), 'optional');
    const ended = Promise.withResolvers<string>();
    database.onEnded = ({ code }) => ended.resolve(code);
    const keep = (latest: number) => database.write((trx) => storeLatest(trx, latest));
    await keep(1);
    await primary.ask(async (client) => {
      const isBehind = 'select 1 from pg_stat_replication where replay_lsn is distinct from pg_current_wal_lsn()';
      while (((await client.query(isBehind)).rowCount ?? 0) > 0) await client.query('select pg_sleep(0.05)');
    });
    // The standby hears nothing more.
    await tell(standby, "alter system set primary_conninfo = ''");
    await primary.ask(async (client) => {
      const isFollowed = 'select 1 from pg_stat_replication';
      while (((await client.query(isFollowed)).rowCount ?? 0) > 0) await client.query('select pg_sleep(0.05)');
    });
    await keep(2);
    await replace(primary, standby, address);
    await assert.rejects(keep(3), { code: 'log-rewritten' });
    assert.equal(await ended.promise, 'log-rewritten');
    await assert.rejects(keep(4), { code: 'log-rewritten' });
    await standby.ask(async (client) => {
      const { rows } = await client.query('select seen_at from hub_time');
      assert.equal(Number(rows[0]?.seen_at), 1);
    });
  });
});
