import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { HubError } from '../error.ts';
import { Database } from '../store/database.ts';
import type { DeviceRow } from '../store/schema.ts';
import { findReturning } from './returning.ts';

let folder: string;
let database: Database;

function row(id: string, tier: string, state: DeviceRow['state']): DeviceRow & { next_root_sha256?: string } {
  return {
    id,
    tier,
    state,
    state_reason: '',
    identity: '{}',
    root_sha256: `root of ${id}`,
    witness_key: '',
    enrolled_at: 1,
    seen_at: 1,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-returning-'));
  database = await Database.open(join(folder, 'hub.sqlite'));
  const rows = [
    row('tpm', 'tpm', 'wiped'),
    row('dice', 'dice', 'wiped'),
    row('element', 'secure-element', 'wiped'),
    row('file', 'software', 'wiped'),
    { ...row('ordered', 'software', 'wiped'), next_root_sha256: 'the new board' },
    row('live', 'tpm', 'active'),
  ];
  await database.write(async (trx) => trx.insertInto('device').values(rows).execute());
});
after(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** `back`, `new`, or why the device is refused. */
async function outcome(deviceId: string, tier: string, rootSha256: string): Promise<string | undefined> {
  try {
    const device = await findReturning(database.read, { deviceId, tier, rootSha256 });
    return device === undefined ? 'new' : 'back';
  } catch (error) {
    assert.ok(error instanceof HubError);
    return error.reasons[0]?.code;
  }
}

test('hardware that keeps its root of trust comes back with it and with no other', async () => {
  for (const tier of ['tpm', 'dice']) {
    assert.equal(await outcome(tier, tier, `root of ${tier}`), 'back');
    assert.equal(await outcome(tier, tier, 'another'), 'root-of-trust-differs');
  }
});

test('a key that was erased is another one afterwards, of the same tier', async () => {
  assert.equal(await outcome('file', 'software', 'another'), 'back');
  assert.equal(await outcome('element', 'secure-element', 'another'), 'back');
  assert.equal(await outcome('file', 'tpm', 'another'), 'root-of-trust-differs');
  assert.equal(await outcome('tpm', 'software', 'another'), 'root-of-trust-differs');
});

test('where an operator ordered a root of trust, that one comes back, of whatever tier, and no other', async () => {
  assert.equal(await outcome('ordered', 'tpm', 'the new board'), 'back');
  assert.equal(await outcome('ordered', 'software', 'root of ordered'), 'root-of-trust-differs');
});

test('a device that is not wiped is nobody who comes back, and its root of trust no other device', async () => {
  assert.equal(await outcome('live', 'tpm', 'root of live'), 'device-id-taken');
  assert.equal(await outcome('elsewhere', 'tpm', 'root of live'), 'root-of-trust-taken');
  assert.equal(await outcome('file', 'software', 'root of tpm'), 'root-of-trust-taken');
  assert.equal(await outcome('elsewhere', 'tpm', 'unknown'), 'new');
});
