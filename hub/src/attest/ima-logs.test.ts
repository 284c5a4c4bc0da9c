import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import { ImaPolicies } from '@edgekeep/core/attest/ima-findings';
import { followImaLog, imaLogBegin, type ImaLogState } from '@edgekeep/core/attest/ima-log-state';
import { imaNgLog } from '@edgekeep/core/attest/testing-ima';
import { deviceRow } from '../registry/testing-device.ts';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { imaStartOf, knownImaLog, recordImaLog, takeImaPiece } from './ima-logs.ts';
import type { ImaPieces } from './ima-pieces.ts';
import { testTpmDevice } from './testing-device.ts';

const none = { state: '0 0', policies: new ImaPolicies([]) };
const state = (entries: number): ImaLogState => followImaLog(imaLogBegin, imaNgLog(entries), none.policies);
const connection = (): ImaPieces => ({ imaLog: undefined });
const tpm = testTpmDevice('press-1', 1);

/** Evidence whose IMA log begins after this many entries. */
const evidenceFrom = (imaLogFrom: number) => {
  const evidence = tpm.evidence({ qualifyingData: new Uint8Array(32) });
  assert.ok(evidence.kind === 'tpm');
  return { ...evidence, imaLog: imaNgLog(1, imaLogFrom), imaLogFrom };
};

async function storeWithDevices(): Promise<TestStore> {
  const store = await openTestStore();
  await store.database.write((trx) =>
    trx
      .insertInto('device')
      .values([deviceRow('press-1'), deviceRow('press-2')])
      .execute(),
  );
  return store;
}

/** Stores that a quote proved the first 100 entries, the last 40 of them in this evidence. */
const prove = ({ database }: TestStore, deviceId = 'press-1', [start, end] = [60, 100]) => {
  const imaLog = { ...state(end), start: state(start) };
  const appraisal: Pick<Appraisal, 'imaLog' | 'resetCount' | 'restartCount'> = {
    imaLog,
    resetCount: 7,
    restartCount: 0,
  };
  return database.write((trx) => recordImaLog(trx, deviceId, appraisal, none.state));
};

test('evidence goes on where a quote of the same device proved the log to, or where that evidence began', async () => {
  await using store = await storeWithDevices();
  const { read } = store.database;
  await prove(store);
  for (const entries of [60, 100])
    assert.deepEqual(await imaStartOf(read, 'press-1', evidenceFrom(entries), undefined, none), state(entries));
  assert.equal(
    await imaStartOf(read, 'press-1', tpm.evidence({ qualifyingData: new Uint8Array(32) }), undefined, none),
    undefined,
  );
});

test('evidence that begins where this hub did not replay to is refused, and so is what another device proved', async () => {
  await using store = await storeWithDevices();
  const { read } = store.database;
  await prove(store);
  for (const [deviceId, entries] of [
    ['press-1', 99],
    ['press-1', 101],
    ['press-2', 100],
  ] as const)
    assert.equal(
      await refusalOf(imaStartOf(read, deviceId, evidenceFrom(entries), connection(), none)),
      'ima-log-start-unknown',
    );
});

test('pieces ahead of a quote follow one another on their connection, and count there alone', async () => {
  await using store = await storeWithDevices();
  const { read } = store.database;
  const own = connection();
  assert.equal(await takeImaPiece(read, own, undefined, { from: 0, log: imaNgLog(10) }, none), 10);
  assert.equal(await takeImaPiece(read, own, undefined, { from: 10, log: imaNgLog(5, 10) }, none), 15);
  assert.deepEqual((await imaStartOf(read, 'press-1', evidenceFrom(15), own, none))?.value, state(15).value);
  const elsewhere = evidenceFrom(15);
  assert.equal(await refusalOf(imaStartOf(read, 'press-1', elsewhere, connection(), none)), 'ima-log-start-unknown');
  assert.equal(
    await refusalOf(takeImaPiece(read, own, 'press-1', { from: 12, log: imaNgLog(1, 12) }, none)),
    'ima-log-start-unknown',
  );
});

test('the evidence of a device is judged by its pieces where they end, and not anywhere else', async () => {
  await using store = await storeWithDevices();
  const { read } = store.database;
  await prove(store);
  const own = connection();
  await takeImaPiece(read, own, 'press-1', { from: 100, log: imaNgLog(20, 100) }, none);
  assert.deepEqual((await imaStartOf(read, 'press-1', evidenceFrom(120), own, none))?.value, state(120).value);
  assert.deepEqual(await imaStartOf(read, 'press-1', evidenceFrom(100), own, none), state(100));
});

test('one connection brings as many bytes of a log as a whole log has, and no more', async () => {
  await using store = await storeWithDevices();
  const own = connection();
  own.imaLog = { ...imaLogBegin, bytes: 64 * 1024 * 1024 - 10, policyState: none.state };
  const piece = takeImaPiece(store.database.read, own, undefined, { from: 0, log: imaNgLog(1) }, none);
  assert.equal(await refusalOf(piece), 'payload-too-large');
});

test('a challenge says how far the log of this device is known, and nothing of another', async () => {
  await using store = await storeWithDevices();
  const { read } = store.database;
  await prove(store);
  const [own, other] = [connection(), connection()];
  assert.deepEqual(await knownImaLog(read, 'press-1', own, none), { entries: 100, resetCount: 7, restartCount: 0 });
  assert.deepEqual(own.imaLog, { ...state(100), bytes: 0, policyState: none.state });
  assert.equal(await knownImaLog(read, 'press-2', other, none), undefined);
  assert.equal(other.imaLog, undefined);
});
