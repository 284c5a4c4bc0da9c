// By what secure elements from before have their tier (migration 0025): a token for the tier, or nobody's word.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { migration } from './migrations/0025-tier-vouched.ts';
import { Database } from './database.ts';

test('a secure element that only its IDevID let in has nobody’s word for its tier; others have the operator’s', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-tier-'));
  t.after(() => rm(folder, { recursive: true }));
  await using database = await Database.open(join(folder, 'hub.sqlite'));
  await database.write(async (trx) => {
    await sql`alter table device drop column tier_vouched`.execute(trx);
    for (const [id, tier] of [
      ['by-idevid', 'secure-element'],
      ['by-token', 'secure-element'],
      ['by-both', 'secure-element'],
      ['by-any-token', 'secure-element'],
      ['in-files', 'software'],
    ] as const) {
      await sql`insert into device (id, tier, state, state_reason, identity, root_sha256, witness_key, enrolled_at, seen_at, reset_count)
        values (${id}, ${tier}, 'active', 'enrolled', '{}', ${id}, '', 1, 1, -1)`.execute(trx);
    }
    for (const id of ['by-idevid', 'by-both', 'by-any-token'])
      await sql`insert into device_idevid (device_id, sha256, issuer_sha256, anchor_sha256, serial_folded, serial_number, issuer, hardware_type, hardware_serial, der, proven_at)
        values (${id}, ${id}, 'i', 'a', ${id}, ${id}, 'Works', '1.2', '1', x'30', 1)`.execute(trx);
    for (const [id, tier] of [
      ['by-both', 'secure-element'],
      ['by-any-token', null],
    ] as const)
      await sql`insert into enrolment_token (sha256, device_id, tier, created_at, expires_at, used_by)
        values (${`token-${id}`}, null, ${tier}, 1, 2, ${id})`.execute(trx);
    await migration.up(trx);
  });
  const rows = await database.read.selectFrom('device').select(['id', 'tier_vouched']).orderBy('id').execute();
  assert.deepEqual(
    rows.map(({ id, tier_vouched: vouched }) => `${id} ${vouched}`),
    ['by-any-token null', 'by-both token', 'by-idevid null', 'by-token token', 'in-files null'],
  );
});
