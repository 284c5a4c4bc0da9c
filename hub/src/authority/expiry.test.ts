import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import { expiryOf } from './expiry.ts';

const dayMs = 86_400_000;
const nowMs = 1_800_000_000_000;

test('the store counts devices whose certificates ended or are near their end as one page of them is judged', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-expiry-'));
  try {
    await using database = await Database.open(await storePlace(folder));
    // The newest certificate of each: its begin and end, in days from now.
    const lives: readonly (readonly [string, number, number])[] = [
      ['a-ended', -30, -1],
      ['b-last-sixth', -26, 4],
      ['c-warned-by-days', -300, 6],
      ['d-fresh', -1, 29],
      ['e-in-time', -20, 10],
    ];
    await database.write(async (trx) => {
      for (const [id] of lives) {
        const row = { id, tier: 'software' as const, state: 'active' as const, state_reason: '', identity: '{}' };
        const times = { enrolled_at: 1, seen_at: 1, reset_count: -1, appraised_at: null };
        const rest = { root_sha256: id, witness_key: '', appraisal: null, counts: null };
        await trx
          .insertInto('device')
          .values({ ...row, ...times, ...rest })
          .execute();
      }
      const certificates = lives.flatMap(([id, from, to]) => [
        certificate(`${id} old`, id, from - 100, from - 50),
        certificate(`${id} new`, id, from, to),
      ]);
      await trx.insertInto('certificate').values(certificates).execute();
    });
    const found = await expiryOf(database, [], { nowMs, warningDays: 7 });
    assert.deepEqual(
      found.devices.map(({ name, warning, ended }) => [name, warning, ended]),
      [
        ['a-ended', true, true],
        ['b-last-sixth', true, false],
        ['c-warned-by-days', true, false],
        ['e-in-time', false, false],
        ['d-fresh', false, false],
      ],
    );
    assert.deepEqual([found.devicesEnded, found.devicesWarned], [1, 2]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

function certificate(serial: string, deviceId: string, fromDays: number, toDays: number) {
  return {
    serial,
    device_id: deviceId,
    not_before: nowMs + fromDays * dayMs,
    not_after: nowMs + toDays * dayMs,
    revoked_at: null,
    revocation_reason: null,
    der: new Uint8Array(0),
    sha256: serial,
  };
}
