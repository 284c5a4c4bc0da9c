import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { parseCrl, verifyCrl } from '@edgekeep/core/identity/crl';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { rootProfile } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import type { DisconnectDependencies } from './quarantine.ts';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import { RevocationList } from '../authority/crl.ts';
import { revoke, type RevocationOrder, type RevocationTarget } from './revoke.ts';
import { assertCertificateStands, type DisconnectOrder } from '../revocation/store.ts';
import { RevocationWatch } from '../revocation/watch.ts';
import { deviceOf, digestOf, seedFleet, serialOf } from '../revocation/testing-revocation.ts';

const nowMs = 1_800_000_000_000;
const notAfterMs = nowMs + 86_400_000;

let folder = '';
let database: Database;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-revocation-'));
  database = await Database.open(await storePlace(folder));
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** One node on the store; it records what it would cut. */
async function node(store: Database = database) {
  const cut: DisconnectOrder[] = [];
  const watch = await RevocationWatch.start(store, (order) => cut.push(order), 1_000);
  const connections: Pick<DisconnectDependencies['connections'], 'cut'> = { cut: () => 0 };
  return { fleet: { database: store, connections, watch }, watch, cut };
}

type Node = Awaited<ReturnType<typeof node>>;
const order = (target: RevocationTarget, more: Partial<RevocationOrder> = {}): RevocationOrder => ({
  target,
  reason: 'keyCompromise',
  note: 'a test',
  mayReturn: false,
  actor: 'ada',
  nowMs,
  ...more,
});
const give = async ({ fleet }: Node, ...given: Parameters<typeof order>) => revoke(fleet, order(...given));
const entries = async () =>
  (await database.read.selectFrom('audit_entry').select('entry').orderBy('log_index').execute()).map(({ entry }) =>
    JSON.parse(Buffer.from(entry).toString('utf8')),
  );

test('ten thousand devices are revoked in one transaction with one entry, which has the digest of the list', async () => {
  await seedFleet(database, { count: 10_050, notAfterMs });
  const own = (await node()).watch;
  const ids = Array.from({ length: 10_000 }, (_, at) => deviceOf(at));
  const fleet = { database, connections: { cut: () => 0 }, watch: own };
  const done = await revoke(fleet, order({ kind: 'devices', ids }));
  assert.deepEqual([done.version, done.certificates, done.devices, done.quarantined], [1, 10_000, 10_000, 10_000]);
  const digest = createHash('sha256').update(ids.toSorted().join('\n')).digest('hex');
  assert.equal(done.digest, digest);
  const log = await entries();
  assert.equal(log.length, 1);
  assert.deepEqual([log[0].kind, log[0].subject, log[0].data.digest], ['certificates-revoked', 'fleet', digest]);
  const { standing } = await database.read
    .selectFrom('certificate')
    .select((q) => q.fn.countAll<number>().as('standing'))
    .where('revoked_at', 'is', null)
    .executeTakeFirstOrThrow();
  assert.equal(standing, 50);
  const { changes } = await database.read
    .selectFrom('device_history')
    .select((q) => q.fn.countAll<number>().as('changes'))
    .where('to_state', '=', 'quarantined')
    .executeTakeFirstOrThrow();
  assert.equal(changes, 10_000);
});

test('another node over the same store learns what to cut, in one read, without a message', async () => {
  await seedFleet(database, { count: 3, notAfterMs });
  await using otherStore = await Database.open(await storePlace(folder));
  const here = await node();
  const there = await node(otherStore);
  await give(here, { kind: 'serials', serials: [serialOf(0)] });
  await give(here, { kind: 'devices', ids: [deviceOf(1)] });
  await there.watch.poll();
  assert.deepEqual(there.cut, [
    { deviceId: deviceOf(0), serial: serialOf(0) },
    { deviceId: deviceOf(1), serial: undefined },
  ]);
  assert.equal(there.watch.version, 2);
  await there.watch.poll();
  assert.equal(there.cut.length, 2);
});

test('a node that starts later holds no connections and cuts nothing', async () => {
  await seedFleet(database, { count: 1, notAfterMs });
  const first = await node();
  await give(first, { kind: 'devices', ids: [deviceOf(0)] });
  const later = await node();
  await later.watch.poll();
  assert.deepEqual(later.cut, []);
});

test('an order that names somebody unknown changes nothing', async () => {
  await seedFleet(database, { count: 2, notAfterMs });
  const own = await node();
  const unknown = [
    { kind: 'devices', ids: [deviceOf(0), 'stranger'] },
    { kind: 'serials', serials: [serialOf(0), 'abc'] },
    { kind: 'certificates', digests: [digestOf(0), '0'.repeat(64)] },
  ] as const;
  for (const target of unknown) await assert.rejects(give(own, target), { code: 'not-found' });
  await assertCertificateStands(database.read, digestOf(0));
  assert.deepEqual(await entries(), []);
  assert.equal(own.watch.version, 0);
});

test('a certificate keeps its first date and reason', async () => {
  await seedFleet(database, { count: 1, notAfterMs });
  const own = await node();
  await give(own, { kind: 'certificates', digests: [digestOf(0)] });
  const again = await give(
    own,
    { kind: 'serials', serials: [serialOf(0)] },
    { reason: 'superseded', nowMs: nowMs + 5 },
  );
  assert.equal(again.certificates, 0);
  const row = await database.read.selectFrom('certificate').selectAll().executeTakeFirstOrThrow();
  assert.deepEqual([row.revoked_at, row.revocation_reason], [nowMs, 'keyCompromise']);
  await assert.rejects(assertCertificateStands(database.read, digestOf(0)), { code: 'certificate-revoked' });
});

test('a device is quarantined with its certificates, unless it may return; a certificate alone leaves it alone', async () => {
  await seedFleet(database, { count: 3, notAfterMs });
  const own = await node();
  await give(own, { kind: 'devices', ids: [deviceOf(0)] });
  await give(own, { kind: 'devices', ids: [deviceOf(1)] }, { mayReturn: true });
  await give(own, { kind: 'serials', serials: [serialOf(2)] });
  const rows = await database.read.selectFrom('device').select('state').orderBy('id').execute();
  assert.deepEqual(
    rows.map(({ state }) => state),
    ['quarantined', 'active', 'active'],
  );
  const kinds = (await entries()).map(({ kind, subject }) => `${kind} ${subject}`);
  assert.deepEqual(kinds, [
    'device-quarantined device:press-0',
    'certificates-revoked device:press-0',
    'certificates-revoked device:press-1',
    'certificates-revoked device:press-2',
  ]);
});

test('a store that cannot be read is an error to a caller that needs fresh knowledge', async () => {
  const watch = await RevocationWatch.start(database, () => undefined, 0);
  await database.read.destroy();
  await assert.rejects(watch.fresh());
});

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signer = signerFromKey(privateKey);
const period = { notBeforeSeconds: 0, notAfterSeconds: 4_000_000_000 };
const input = { spki: encodeSpki(publicKey), serialRandom: new Uint8Array(16), ...period };
const certificate = parseCertificate(await issueCertificate(rootProfile(input, commonNameOnly('Issuing')), signer));
// As on the rows that `seedFleet` makes.
const issuing = { id: '', class: 'general', certificate, signer } as const;

test('the list is kept until something changes or half of its life is over, and its number always grows', async () => {
  await seedFleet(database, { count: 5, notAfterMs });
  const own = await node();
  let now = nowMs;
  const parts = { database, issuing, watch: own.watch, clock: () => now, lifeSeconds: 1_000 };
  const list = new RevocationList(parts);
  const first = await list.current();
  assert.equal(await list.current(), first);
  assert.equal(parseCrl(first.der).revoked.size, 0);

  await give(own, { kind: 'serials', serials: [serialOf(3)] });
  const second = await list.current();
  const parsed = parseCrl(second.der);
  assert.deepEqual([...parsed.revoked.keys()], [serialOf(3)]);
  assert.equal(parsed.revoked.get(serialOf(3))?.reason, 'keyCompromise');
  assert.deepEqual(verifyCrl(parsed, certificate, nowMs / 1_000), { kind: 'valid' });

  now += 501_000;
  const third = await list.current();
  const elsewhere = await new RevocationList(parts).current();
  const numbers = [first, second, third, elsewhere].map(({ number }) => number);
  assert.deepEqual(numbers, [1, 2, 3, 4]);
});

test('a revoked certificate leaves the list one list after its end', async () => {
  await seedFleet(database, { count: 1, notAfterMs: nowMs + 1_000, revoked: 1 });
  const own = await node();
  const at = async (ms: number) => {
    const parts = { database, issuing, watch: own.watch, clock: () => ms, lifeSeconds: 60 };
    return parseCrl((await new RevocationList(parts).current()).der).revoked.size;
  };
  assert.deepEqual([await at(nowMs), await at(nowMs + 60_000), await at(nowMs + 61_001)], [1, 1, 0]);
});

test('many who ask at once get one list', async () => {
  await seedFleet(database, { count: 12_000, notAfterMs, revoked: 12_000 });
  const own = await node();
  const clock = () => nowMs;
  const list = new RevocationList({
    database,
    issuing,
    watch: own.watch,
    clock,
    lifeSeconds: 60,
  });
  const all = await Promise.all(Array.from({ length: 20 }, async () => list.current()));
  assert.equal(new Set(all).size, 1);
  assert.equal(parseCrl(all[0]?.der ?? new Uint8Array(0)).revoked.size, 12_000);
});
