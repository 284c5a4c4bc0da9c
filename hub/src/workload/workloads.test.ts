// Workloads on one device: their own switch, and what became of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusalOf } from '../common/testing-refusal.ts';
import { by, certify, declare, nowMs, openWorkloadHub, type WorkloadHub } from './testing-workload.ts';
import { disableWorkload, enableWorkload, workloadChanges, workloadsOf } from './workloads.ts';

const camera = { deviceId: 'press-1', workload: 'camera', ...by };
const valid = async ({ database }: WorkloadHub) =>
  (await database.read.selectFrom('certificate').select('serial').where('revoked_at', 'is', null).execute()).length;
const cuts = ({ database }: WorkloadHub) => database.read.selectFrom('revocation').select('serial').execute();

test('disabling a workload revokes what is valid of it on this device, and nothing of another', async () => {
  await using hub = await openWorkloadHub();
  await declare(hub, 'camera');
  await declare(hub, 'counter');
  await declare(hub, 'camera', { kind: 'device', name: 'press-2' });
  await certify(hub);
  await certify(hub, { workload: 'counter' });
  await certify(hub, { deviceId: 'press-2' });
  const order = { deviceId: 'press-1', workload: 'camera', reason: 'odd', ...by };
  assert.equal(await disableWorkload(hub.database, order), 1);
  assert.equal(await valid(hub), 2);
  assert.equal((await cuts(hub)).length, 1);
  assert.equal(await refusalOf(disableWorkload(hub.database, { ...order, workload: 'none' })), 'not-found');
  const [camera, counter] = await workloadsOf(hub.database, 'press-1', { trustDomain: 'example.org', nowMs });
  assert.deepEqual([camera?.enabled, camera?.disabledReason, camera?.certificateNotAfter], [false, 'odd', null]);
  assert.deepEqual([counter?.enabled, counter?.declaredFor], [true, ['device']]);
  const changes = await workloadChanges(hub.database, order);
  assert.deepEqual(
    changes.map(({ change }) => change),
    ['disabled', 'registered', 'declared'],
  );
});

test('a workload may be disabled before its first certificate, and one that nobody knows not at all', async () => {
  await using hub = await openWorkloadHub();
  await declare(hub, 'camera');
  assert.equal(await disableWorkload(hub.database, { ...camera, reason: 'odd' }), 0);
  assert.equal(await refusalOf(certify(hub)), 'workload-refused: workload-disabled');
  await enableWorkload(hub.database, camera);
  await certify(hub);
  for (const order of [{ workload: 'none' }, { deviceId: 'press-9' }])
    assert.equal(await refusalOf(enableWorkload(hub.database, { ...camera, ...order })), 'not-found');
});
