// PostgreSQL fails under a hub that works: its processes are killed, the network to it is cut, its disk is full, and a standby takes its place.
import { mkdtempSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { SmallDisk, skipWithoutSmallDisk } from '../../tests/support/small-disk.ts';
import { PostgresServer } from '../../tests/support/faults/postgres-server.ts';
import { CutOffServer, withoutNetwork } from '../fleet/cut-off-server.ts';
import { runFaults } from '../fleet/fault-run.ts';
import type { Benchmark, Harness } from '../harness.ts';

/** Megabytes of the disk of a server: its own files take about 40, and the log of writes up to 32. */
const DISK_MEGABYTES = 160;
const smallWal = ['max_wal_size=32MB', 'min_wal_size=32MB'];
/** Paths of sockets are short, and the server's user must reach them. */
const folderOf = (name: string) => {
  const folder = mkdtempSync(`/tmp/ek-${name}-`);
  chmodSync(folder, 0o755);
  return folder;
};

export const bench: Benchmark = {
  name: 'database-faults',
  title: 'PostgreSQL fails under a hub',
  budget:
    'nothing that was answered is lost, nothing happens twice, the log does not fork, no key follows a quarantine that was answered, and the hub is back without a hand when its database is',
  async run(harness) {
    await serverKilled(harness);
    await networkCut(harness);
    await diskFull(harness);
    await standbyPromoted(harness);
  },
};

async function serverKilled(harness: Harness): Promise<void> {
  await using server = await PostgresServer.make(folderOf('kill'));
  await runFaults(harness, {
    name: 'kill -9 of PostgreSQL: of its first process and of one that works for the hub, in turns',
    times: harness.quick ? 4 : 20,
    options: { place: server.place },
    async fault(_, time) {
      if (time % 2 === 1) {
        await server.killBackend();
        return;
      }
      await server.kill();
      await server.start();
    },
  });
}

async function networkCut(harness: Harness): Promise<void> {
  const missing = withoutNetwork();
  if (missing !== false) return harness.note(`the network is not cut: ${missing}`);
  await using database = await CutOffServer.make(folderOf('cut'));
  // Shorter and longer than a hub looks for its last commit.
  const seconds = harness.quick ? [1, 4] : [0.2, 1, 3, 8, 20, 45];
  await runFaults(harness, {
    name: `the network to PostgreSQL is cut, for ${seconds.join(', ')} s in turns`,
    times: harness.quick ? 2 : 20,
    options: {
      place: database.server.place,
      settings: { store: { url: database.url, caFile: database.caFile } },
    },
    async fault(_, time) {
      database.cut();
      await setTimeout((seconds[time % seconds.length] ?? 1) * 1_000);
      database.mend();
    },
  });
}

async function diskFull(harness: Harness): Promise<void> {
  const missing = await skipWithoutSmallDisk();
  if (missing !== false) return harness.note(`the disk of PostgreSQL is not filled: ${missing}`);
  await using disk = await SmallDisk.mount(folderOf('disk'), DISK_MEGABYTES);
  chmodSync(disk.folder, 0o755);
  await using server = await PostgresServer.make(join(disk.folder, 'server'), { config: smallWal });
  await runFaults(harness, {
    name: 'the disk of PostgreSQL is full for 3 s',
    times: harness.quick ? 1 : 5,
    options: { place: server.place },
    async fault() {
      await disk.fill();
      await setTimeout(3_000);
      await disk.free();
      // A server that could not write its log has ended; one that could is there.
      await server.start();
    },
  });
}

async function standbyPromoted(harness: Harness): Promise<void> {
  const address = join(folderOf('address'), 's');
  const config = ['wal_level=replica', 'max_wal_senders=4', 'hot_standby=on'];
  let primary = await PostgresServer.make(folderOf('first'), { config });
  primary.serveIn(address);
  // A commit is answered once the standby has it too.
  const follow = async () => {
    const standby = await PostgresServer.follow(primary, folderOf('next'), { config });
    await primary.ask(async (client) => {
      await client.query("alter system set synchronous_standby_names = '*'");
      await client.query('select pg_reload_conf()');
    });
    await primary.isFollowed();
    return standby;
  };
  await using servers = new AsyncDisposableStack();
  servers.defer(() => primary[Symbol.asyncDispose]());
  await runFaults(harness, {
    name: 'the server is killed and its synchronous standby takes its place',
    times: harness.quick ? 1 : 5,
    options: { place: primary.placeIn(address) },
    async fault() {
      const standby = servers.use(await follow());
      await setTimeout(500);
      await primary.kill();
      await standby.becomePrimary();
      standby.serveIn(address);
      primary = standby;
    },
  });
}
