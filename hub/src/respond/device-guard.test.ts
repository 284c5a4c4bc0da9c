import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { GuardReport } from '@edgekeep/wire/api/guard-report';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import { guardOf, recordGuard } from './device-guard.ts';

let folder = '';
let database: Database;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-device-guard-'));
  database = await Database.open(await storePlace(folder));
  await database.write((trx) =>
    trx
      .insertInto('device')
      .values({
        id: 'press-7',
        tier: 'software',
        state: 'active',
        state_reason: '',
        enrolled_at: 0,
        seen_at: 0,
        identity: '{}',
        root_sha256: '00',
        witness_key: '',
        reset_count: -1,
        appraisal: null,
        appraised_at: null,
        counts: null,
      })
      .execute(),
  );
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const quiet: GuardReport = {
  walls: ['file-system'],
  missing: [],
  inferenceTimeouts: 0,
  protocolViolations: 0,
  crashes: 0,
};
const say = (change: Partial<GuardReport>, nowMs = 1_000) =>
  database.write((trx) => recordGuard(trx, { deviceId: 'press-7', guard: { ...quiet, ...change }, nowMs }));
const alerts = async () => {
  const rows = await database.read.selectFrom('alert').select(['kind', 'severity', 'count']).execute();
  return rows.map((row) => ({ ...row }));
};

test('the walls of a device are kept as it said them last', async () => {
  await say({});
  await say({ walls: [], missing: ['file-system'] });
  const row = await database.read.selectFrom('device').selectAll().executeTakeFirstOrThrow();
  assert.deepEqual(guardOf(row), { ...quiet, walls: [], missing: ['file-system'] });
  assert.equal(guardOf({ guard: '{"walls":1}' }), undefined);
  assert.deepEqual(await alerts(), []);
});

test('a guard that had to be ended raises an alert once for each time, also over restarts of the agent', async () => {
  await say({ inferenceTimeouts: 1 });
  await say({ inferenceTimeouts: 1, missing: ['ipc-namespace'] });
  assert.deepEqual(await alerts(), [{ kind: 'guard-ended', severity: 'medium', count: 1 }]);
  await say({});
  await say({ inferenceTimeouts: 1 });
  assert.deepEqual(await alerts(), [{ kind: 'guard-ended', severity: 'medium', count: 2 }]);
});

test('a guard that sent what no guard sends is a graver alert', async () => {
  await say({ protocolViolations: 1 });
  assert.deepEqual(await alerts(), [{ kind: 'guard-ended', severity: 'high', count: 1 }]);
});

test('a guard that crashed is the least grave alert, and never hides another', async () => {
  await say({ crashes: 2 });
  assert.deepEqual(await alerts(), [{ kind: 'guard-ended', severity: 'low', count: 1 }]);
  await say({ crashes: 3, protocolViolations: 1 });
  assert.equal((await alerts()).at(-1)?.severity, 'high');
});

test('what a report returns is what ended since the one before', async () => {
  assert.deepEqual(await say({ crashes: 2, inferenceTimeouts: 1 }), {
    'inference-timeout': 1,
    'protocol-violation': 0,
    crashed: 2,
  });
  assert.deepEqual(await say({ crashes: 5, inferenceTimeouts: 1 }), {
    'inference-timeout': 0,
    'protocol-violation': 0,
    crashed: 3,
  });
  assert.deepEqual(await say({ crashes: 5, inferenceTimeouts: 1 }), {
    'inference-timeout': 0,
    'protocol-violation': 0,
    crashed: 0,
  });
});

test('a report that a hub of the version before stored is read, and tells of no crash', () => {
  const { crashes: _, ...old } = quiet;
  assert.deepEqual(guardOf({ guard: JSON.stringify(old) }), quiet);
});
