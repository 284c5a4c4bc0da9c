// The store of a hub moves to PostgreSQL and back: one log goes on, receipts and checkpoints of before verify, a kill at any step leaves a hub that
// starts, and no hub starts on the store that was left.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { after, before, test, type TestContext } from 'node:test';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { parseTrust } from '@edgekeep/core/access/trust';
import { resetPolicy } from '@edgekeep/hub/commands/reset-policy';
import { acceptClock } from '@edgekeep/hub/commands/accept-clock';
import { checkHub } from '@edgekeep/hub/commands/check/check';
import { moveStore } from '@edgekeep/hub/commands/move-store';
import { backUpHub } from '@edgekeep/hub/secrets/backup';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { readHubSettings } from '@edgekeep/hub/settings';
import { logEndAt, markAt } from '@edgekeep/hub/store/store-mark';
import { Database } from '@edgekeep/hub/store/database';
import { openReader, type StorePlace } from '@edgekeep/hub/store/engine/place';
import { rowSqlOf } from '@edgekeep/hub/store/engine/row-sql';
import { placeOfStore } from '@edgekeep/hub/store/place-of-store';
import type { Tables } from '@edgekeep/hub/store/schema';
import { nameStore } from '@edgekeep/hub/store/store-setting';
import { serverPrograms } from '@edgekeep/hub/store/testing-cluster';
import { databaseOf, dropDatabase } from '@edgekeep/hub/store/testing-place';
import { auditEntries } from '@edgekeep/hub/store/testing-store';
import { startHub } from '@edgekeep/hub/wiring/start';
import { receiptResponse } from '@edgekeep/wire/api/access';
import { edgekeep } from './main-job/edgekeep.ts';
import { closeAll } from './support/closing.ts';
import { HubWorld } from './support/hub-world.ts';
import { SoftwareWorld } from './support/software-world.ts';
import { TestWitness } from './support/witness.ts';

const isRootInCi = process.env['CI'] === 'true' && process.getuid?.() === 0;
const missing = serverPrograms() === undefined && !isRootInCi ? 'PostgreSQL is not installed' : false;
const onServer = { skip: missing };

let fleet: SoftwareWorld;
let witness: TestWitness;
let lease: string;
let settings: Readonly<Record<string, unknown>>;

before(async () => {
  fleet = await SoftwareWorld.open();
  const { world, device } = fleet;
  await world.publishModel('surface', '1.0.0', 'weights');
  await device.attest(fleet.link);
  lease = (await device.release(fleet.link, 'surface', '1.0.0')).lease.id;
  witness = new TestWitness(world.hub.logKey, device.witness);
  assert.equal((await witness.checkIn(fleet.link, Math.floor(Date.now() / 1_000))).kind, 'consistent');
  await fleet.link[Symbol.asyncDispose]();
  await world.stop();
  settings = JSON.parse(await readFile(join(world.hubFolder, 'hub.json'), 'utf8'));
});
after(() => closeAll(fleet));

interface Copied {
  readonly folder: string;
  readonly hub: string;
  /** Of an empty database. */
  readonly url: string;
}

/** The hub in a folder of its own. */
async function copied(t: TestContext): Promise<Copied> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-move-'));
  const place = await databaseOf(folder);
  t.after(async () => {
    await dropDatabase(place);
    await rm(folder, { recursive: true });
  });
  const hub = join(folder, 'hub');
  await cp(fleet.world.hubFolder, hub, { recursive: true, mode: 0 });
  const { host, database, user } = place;
  return { folder, hub, url: `postgres://${user}@/${database}?host=${encodeURIComponent(host)}` };
}

const toStore = (url: string) => ({ url, passwordFile: null, caFile: null });

function move(hub: string, url: string) {
  return moveStore(hub, { to: toStore(url), nowMs: Date.now() }, plainKeys(join(hub, 'keys')));
}

async function placeIn(hub: string) {
  return placeOfStore(hub, await readHubSettings(hub));
}

/** The hub serves its device again, and everything of before verifies. */
async function assertGoesOn(folder: string, hubFolder: string): Promise<void> {
  const world = await HubWorld.reopen(folder, JSON.parse(await readFile(join(hubFolder, 'hub.json'), 'utf8')));
  try {
    const { device } = fleet;
    await using link = await device.connect(world.hub);
    await device.attest(link);
    await device.release(link, 'surface', '1.0.0');
    const trust = parseTrust(await world.operator.getBytes('/v1/trust'));
    const { receipt } = await world.operator.get(`/v1/receipts/${lease}`, receiptResponse);
    const policy = { ...trust.policy, quorum: 0 };
    assert.equal(verifyReceipt(Buffer.from(receipt, 'base64url'), { ...trust, policy }).kind, 'verified');
    assert.equal((await witness.checkIn(link, Math.floor(Date.now() / 1_000))).kind, 'consistent');
    await world.hub.checkState();
  } finally {
    await world.stop();
  }
}

async function entriesOf(place: StorePlace, kind: string): Promise<readonly object[]> {
  await using db = await openReader<Tables>(place);
  return (await auditEntries({ read: db })).filter((entry) => entry.kind === kind).map(({ data }) => data);
}

async function assertLeft(hub: string, url: string): Promise<void> {
  const place = placeOfStore(hub, { store: toStore(url) });
  const end = await logEndAt(place);
  assert.equal((await markAt(place))?.state, 'moved');
  const named = await readFile(join(hub, 'hub.json'));
  await nameStore(hub, toStore(url));
  const moved = { code: 'store-moved', message: /was moved to .* put that into hub\.json/ };
  await assert.rejects(startHub(hub, await readHubSettings(hub)), moved);
  await assert.rejects(acceptClock(hub, Date.now()), moved);
  await assert.rejects(resetPolicy(hub, Date.now()), moved);
  await assert.rejects(backUpHub({ folder: hub, file: join(hub, '..', 'none'), plain: true, blobs: false }), moved);
  await assert.rejects(Database.open(place), moved);
  const found = (await checkHub(hub, Date.now())).filter(
    ({ subject, state }) => subject === 'store' && state === 'failed',
  );
  assert.match(found[0]?.found ?? '', moved.message);
  await writeFile(join(hub, 'hub.json'), named);
  assert.deepEqual(await logEndAt(place), end);
}

// SECURITY.md: HUB-181, HUB-182
test('a hub moves to PostgreSQL and back: one log, and no hub on the store that was left', onServer, async (t) => {
  const { folder, hub, url } = await copied(t);
  const before = await logEndAt(await placeIn(hub));
  const there = await move(hub, url);
  assert.deepEqual([there.from, there.to, there.entries], ['sqlite', url, before.entries]);
  assert.ok(there.rows > before.entries && there.tables > 60);
  assert.deepEqual(JSON.parse(await readFile(join(hub, 'hub.json'), 'utf8')), { ...settings, store: { url } });
  assert.deepEqual(await entriesOf(await placeIn(hub), 'store-moved'), [{ from: 'sqlite', to: url, ...before }]);
  await assertGoesOn(folder, hub);
  assert.deepEqual(
    (await checkHub(hub, Date.now())).filter(({ state }) => state === 'failed'),
    [],
  );
  await assertLeft(hub, 'sqlite');
  await assert.rejects(move(hub, url), { code: 'request-invalid', message: /on PostgreSQL already/ });

  const back = await move(hub, 'sqlite');
  assert.deepEqual([back.from, back.to], [url, 'sqlite']);
  assert.deepEqual(JSON.parse(await readFile(join(hub, 'hub.json'), 'utf8')), settings);
  await assertGoesOn(folder, hub);
  await assertLeft(hub, url);
  // The first one is kept under another name, and the database that was left is not overwritten.
  assert.equal((await readdir(hub)).filter((name) => /^hub\.sqlite\.moved-[0-9TZ-]+$/.test(name)).length, 1);
  await assert.rejects(move(hub, url), { code: 'move-refused', message: /is not empty/ });
  await assert.rejects(move(hub, 'sqlite'), { code: 'request-invalid', message: /on SQLite already/ });
});

test('a backup of a hub on PostgreSQL, made while it runs, restores into a hub on SQLite', onServer, async (t) => {
  const { folder, hub, url } = await copied(t);
  await move(hub, url);
  const file = join(folder, 'backup');
  {
    const running = await startHub(hub, await readHubSettings(hub));
    await backUpHub({ folder: hub, file, plain: true, blobs: false });
    await running[Symbol.asyncDispose]();
  }
  const end = await logEndAt(await placeIn(hub));
  const restored = join(folder, 'restored');
  await restoreHub(file, restored, 'unsigned');
  assert.deepEqual(JSON.parse(await readFile(join(restored, 'hub.json'), 'utf8')), settings);
  const kept = await logEndAt(await placeIn(restored));
  assert.ok(kept.entries > 0 && kept.entries <= end.entries);
  await startsWith(restored, kept);
});

const steps = ['held', 'copying', 'copied', 'compared', 'placed', 'named', 'marked'] as const;

function killedAt(hub: string, url: string, step: string): void {
  const script = fileURLToPath(new URL('./support/killed-move.ts', import.meta.url));
  const { signal, stderr } = spawnSync(process.execPath, [script, hub, url, step], { encoding: 'utf8' });
  assert.equal(signal, 'SIGKILL', stderr);
}

async function startsWith(hub: string, kept: { readonly entries: number; readonly newest: string }): Promise<void> {
  const running = await startHub(hub, await readHubSettings(hub));
  await running[Symbol.asyncDispose]();
  await using db = await openReader<Tables>(await placeIn(hub));
  const entry = db
    .selectFrom('audit_entry')
    .select('leaf_hash')
    .where('log_index', '=', kept.entries - 1);
  assert.equal(Buffer.from((await entry.executeTakeFirstOrThrow()).leaf_hash).toString('hex'), kept.newest);
}

/** Whether both stores could be opened by a hub. */
async function usable(hub: string, url: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (const each of ['sqlite', url]) {
    const place = placeOfStore(hub, { store: toStore(each) });
    const isThere = typeof place === 'string' ? existsSync(place) : await hasLog(place);
    if (isThere && (await markAt(place)) === undefined) names.push(each);
  }
  return names;
}

async function hasLog(place: StorePlace): Promise<boolean> {
  await using db = await openReader<Tables>(place);
  return await rowSqlOf(db).hasTable(db, 'audit_entry');
}

for (const direction of ['PostgreSQL', 'SQLite'] as const)
  // SECURITY.md: HUB-181
  test(
    `a move to ${direction} that is killed at any step leaves a hub that starts, and can be repeated`,
    onServer,
    async (t) => {
      for (const step of steps) {
        const { hub, url } = await copied(t);
        const [from, to] = direction === 'SQLite' ? [url, 'sqlite'] : ['sqlite', url];
        if (direction === 'SQLite') await move(hub, url);
        const end = await logEndAt(await placeIn(hub));
        killedAt(hub, to, step);
        assert.ok((await usable(hub, url)).length <= 1, step);
        const named = (await readHubSettings(hub)).store.url;
        assert.equal(named, step === 'named' || step === 'marked' ? to : from, step);
        await startsWith(hub, end);
        assert.deepEqual(await usable(hub, url), [named], step);
        if (named === from) await move(hub, to);
        await startsWith(hub, end);
        assert.deepEqual(await usable(hub, url), [to], step);
        const ours = (await readdir(hub)).filter((name) => name.startsWith('hub.sqlite.incoming'));
        assert.deepEqual(ours, [], step);
      }
    },
  );

// SECURITY.md: HUB-181
test(
  'a hub that was started on the old store after a killed move is not overtaken by the copy',
  onServer,
  async (t) => {
    const { hub, url } = await copied(t);
    killedAt(hub, url, 'named');
    // Somebody puts hub.json back by hand, and the hub goes on where it was.
    await nameStore(hub, toStore('sqlite'));
    await acceptClock(hub, Date.now());
    const end = await logEndAt(await placeIn(hub));
    await nameStore(hub, toStore(url));
    await assert.rejects(startHub(hub, await readHubSettings(hub)), {
      code: 'store-moved',
      message: /is not there as it was copied, so it may have gone on/,
    });
    await nameStore(hub, toStore('sqlite'));
    await move(hub, url);
    await startsWith(hub, end);
  },
);

test('a store whose rows or log are not what the log says is not moved', onServer, async (t) => {
  const { hub, url } = await copied(t);
  {
    using store = new DatabaseSync(join(hub, 'hub.sqlite'));
    store.exec("insert into country_network values ('10.0.0.0/8', 'XX')");
  }
  await assert.rejects(move(hub, url), { code: 'state-refused', message: /country_network/ });
  assert.equal(await hasLog(placeOfStore(hub, { store: toStore(url) })), false);
});

test('the verb moves the store of a stopped hub, and refuses while it runs', onServer, async (t) => {
  const { hub, url } = await copied(t);
  {
    const running = await startHub(hub, await readHubSettings(hub));
    const { code, stderr } = await edgekeep('hub', 'move-store', '--data', hub, '--to', url);
    assert.deepEqual([code, /folder-in-use/.test(stderr)], [6, true], stderr);
    await running[Symbol.asyncDispose]();
  }
  for (const to of [url, 'sqlite']) {
    const { code, stdout, stderr } = await edgekeep('hub', 'move-store', '--data', hub, '--to', to, '--json');
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).to, to);
    assert.match(stderr, /comparing each row, the log and the security state/);
  }
  const bad = await edgekeep('hub', 'move-store', '--data', hub, '--to', 'postgres://a:secret@h/d');
  assert.equal(bad.code, 2);
  assert.doesNotMatch(bad.stderr, /secret/);
});
