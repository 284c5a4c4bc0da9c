import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endPublisher } from '../publisher/end.ts';
import { assertPublisher, listPublishers } from '../publisher/publishers.ts';
import { trustTestPublisher } from '../publisher/testing-publisher.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { auditEntries, openTestStore } from '../store/testing-store.ts';
import { manifestsBeforeEnd, publishersInUse, weighEndedPublishers } from './ended-publishers.ts';

const by = { actor: 'person:ada/desk', note: 'left' };

test('the alert about an ended publisher is open while a lease on one of its models is in force, and counts nothing twice', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const fingerprint = await trustTestPublisher(database);
  await addDevices(database, deviceRow('press-1'));
  await database.write(async (trx) => {
    const lease = { model: 'belt', version: '1.0', document: '{}', log_index: 0, attestation_result: '' };
    const held = { id: 'held', device_id: 'press-1', not_after: 1_000, revoked_at: null };
    await trx
      .insertInto('lease')
      .values({ ...lease, ...held })
      .execute();
    const row = {
      name: 'belt',
      state: 'published',
      manifest: new Uint8Array(1),
      signature: '',
      wrapped_key: new Uint8Array(1),
    } as const;
    for (const [version, at] of [
      ['1.0', 50],
      ['2.0', 150],
    ] as const)
      await trx
        .insertInto('model_release')
        .values({
          ...row,
          version,
          manifest_digest: `digest ${version}`,
          publisher: fingerprint,
          created_at: at,
          published_at: at,
        })
        .execute();
  });
  await endPublisher(database, { fingerprint, endsAtMs: 100, nowMs: 60, ...by });
  const open = () =>
    database.read.selectFrom('alert').select(['title', 'count']).where('state', '!=', 'closed').execute();
  await weighEndedPublishers(database, 99);
  assert.deepEqual(await open(), []);
  for (const now of [100, 200]) await weighEndedPublishers(database, now);
  const [alert, ...more] = await open();
  assert.match(alert?.title ?? '', /works ended on .*1 device.*belt 1\.0/);
  assert.deepEqual([alert?.count, more.length], [1, 0]);
  await weighEndedPublishers(database, 1_000);
  assert.deepEqual(await open(), []);
  assert.deepEqual([...(await manifestsBeforeEnd(database.read))], [[fingerprint, ['digest 1.0']]]);
  assert.deepEqual([...(await publishersInUse(database.read))], [fingerprint]);
});

test('a publisher ends at its time and not before, an end moves only ahead, and each order is an entry', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const fingerprint = await trustTestPublisher(database);
  const refusedAt = (nowMs: number) => refusalOf(database.write((trx) => assertPublisher(trx, fingerprint, nowMs)));
  const end = (endsAtMs: number | undefined, nowMs: number) =>
    endPublisher(database, { fingerprint, endsAtMs, nowMs, ...by });
  await end(500, 10);
  await database.write((trx) => assertPublisher(trx, fingerprint, 499));
  assert.equal(await refusedAt(500), 'publisher-untrusted');
  assert.equal(await refusalOf(end(600, 10)), 'conflict');
  assert.equal(await refusalOf(end(5, 10)), 'request-invalid');
  assert.equal(await end(undefined, 20), 20);
  assert.equal(await refusedAt(20), 'publisher-untrusted');
  assert.equal((await listPublishers(database))[0]?.endsAtMs, 20);
  assert.equal(await refusalOf(trustTestPublisher(database)), 'conflict');
  const unknown = endPublisher(database, { ...by, fingerprint: '0'.repeat(64), nowMs: 1 });
  assert.equal(await refusalOf(unknown), 'not-found');
  assert.deepEqual(
    (await auditEntries(database)).map(({ kind }) => kind),
    ['publisher-trusted', 'publisher-ended', 'publisher-ended'],
  );
});
