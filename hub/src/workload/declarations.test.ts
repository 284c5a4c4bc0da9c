// What is declared for whom, and what ends with a declaration.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGroup } from '../registry/groups.ts';
import { weighWorkloadGroups } from '../respond/workload-claims.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { declaredFor, listDeclarations, removeWorkload, type WorkloadTarget } from './declarations.ts';
import { by, certify, declare, nowMs, openWorkloadHub, press, type WorkloadHub } from './testing-workload.ts';

const line: WorkloadTarget = { kind: 'group', name: 'line' };
const tpms: WorkloadTarget = { kind: 'group', name: 'tpms' };

/** `line` has press-1 as a named member, `tpms` nobody yet. */
async function hubWithGroups(): Promise<WorkloadHub> {
  const hub = await openWorkloadHub();
  await createGroup(hub.database, { name: 'line', description: '', filter: undefined, ...by });
  await createGroup(hub.database, { name: 'tpms', description: '', filter: 'tier==tpm', ...by });
  await hub.database.write((trx) =>
    trx.insertInto('device_group_member').values({ group_name: 'line', device_id: 'press-1' }).execute(),
  );
  return hub;
}
const declared = async ({ database }: WorkloadHub, deviceId: string, workload?: string) =>
  (await declaredFor(database.read, deviceId, nowMs, workload)).map(({ workload: name, by: why }) => `${name} ${why}`);
const remove = ({ database }: WorkloadHub, target: WorkloadTarget, workload = 'camera') =>
  removeWorkload(database, { workload, target, ...by });
const valid = async ({ database }: WorkloadHub) =>
  (await database.read.selectFrom('certificate').select('serial').where('revoked_at', 'is', null).execute()).length;
const cuts = async ({ database }: WorkloadHub) =>
  (await database.read.selectFrom('revocation').select(['device_id', 'serial']).execute()).map(
    ({ device_id: id, serial }) => `${id} ${serial}`,
  );

test('what is declared for one device is declared for no other; for a group, for its members of now', async () => {
  await using hub = await hubWithGroups();
  await declare(hub, 'camera');
  await declare(hub, 'counter', line);
  await declare(hub, 'sealer', tpms);
  assert.deepEqual(await declared(hub, 'press-1'), ['camera device', 'counter line']);
  assert.deepEqual(await declared(hub, 'press-2'), []);
  assert.deepEqual(await declared(hub, 'press-1', 'counter'), ['counter line']);
  await hub.database.write((trx) =>
    trx.updateTable('device').set({ tier: 'tpm' }).where('id', '=', 'press-2').execute(),
  );
  assert.deepEqual(await declared(hub, 'press-2'), ['sealer tpms']);
  await hub.database.write((trx) => trx.deleteFrom('device_group_member').execute());
  assert.deepEqual(await declared(hub, 'press-1'), ['camera device']);
});

// SECURITY.md: HUB-64
test('a group by what devices say of themselves declares nothing: not now, and not one that a hub of the version before took', async () => {
  await using hub = await hubWithGroups();
  const patched: WorkloadTarget = { kind: 'group', name: 'patched' };
  await createGroup(hub.database, { name: 'patched', description: '', filter: 'tier==software;seenAt>-1h', ...by });
  assert.equal(await refusalOf(declare(hub, 'camera', patched)), 'conflict');
  const row = { target_kind: 'group', target: 'patched', name: 'camera', description: '', declared_at: nowMs } as const;
  await hub.database.write((trx) => trx.insertInto('workload_declaration').values(row).execute());
  await hub.database.write((trx) => trx.updateTable('device').set({ seen_at: nowMs }).execute());
  assert.deepEqual(await declared(hub, 'press-1'), []);
  const alerts = async () =>
    (await hub.database.read.selectFrom('alert').select(['kind', 'state']).execute()).map(
      ({ kind, state }) => `${kind} ${state}`,
    );
  await weighWorkloadGroups(hub.database, nowMs);
  assert.deepEqual(await alerts(), ['workload-rests-on-claims open']);
  await remove(hub, patched);
  await weighWorkloadGroups(hub.database, nowMs);
  assert.deepEqual(await alerts(), ['workload-rests-on-claims closed']);
});

test('a declaration is made once, for a device or group that is there', async () => {
  await using hub = await hubWithGroups();
  await declare(hub, 'camera');
  assert.equal(await refusalOf(declare(hub, 'camera')), 'conflict');
  await declare(hub, 'camera', line);
  for (const target of [{ kind: 'device', name: 'press-9' } as const, { kind: 'group', name: 'none' } as const])
    assert.equal(await refusalOf(declare(hub, 'camera', target)), 'not-found');
  const listed = await listDeclarations(hub.database.read, press);
  assert.deepEqual(
    listed.map(({ name, device }) => `${name} ${device}`),
    ['camera press-1'],
  );
});

test('taking a declaration back on a device revokes its certificates, and every node learns of it', async () => {
  await using hub = await hubWithGroups();
  await declare(hub, 'camera');
  await declare(hub, 'counter');
  await certify(hub);
  await certify(hub);
  await certify(hub, { workload: 'counter' });
  assert.deepEqual(await remove(hub, press), { certificatesRevoked: 2 });
  assert.equal(await valid(hub), 1);
  assert.equal((await cuts(hub)).filter((cut) => cut.startsWith('press-1 ')).length, 2);
  assert.equal(await refusalOf(certify(hub)), 'workload-refused: not-declared');
  assert.equal(await refusalOf(remove(hub, press)), 'not-found');
});

test('what a group still declares goes on, and where a group declared it certificates run out', async () => {
  await using hub = await hubWithGroups();
  await declare(hub, 'camera');
  await declare(hub, 'camera', line);
  await certify(hub);
  assert.deepEqual(await remove(hub, press), { certificatesRevoked: 0 });
  await certify(hub);
  assert.deepEqual(await remove(hub, line), { certificatesRevoked: 0 });
  assert.equal(await valid(hub), 2);
  assert.equal(await refusalOf(certify(hub)), 'workload-refused: not-declared');
});
