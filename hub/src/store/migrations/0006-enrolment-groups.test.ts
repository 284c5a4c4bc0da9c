import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeVerifierKey, verifierKey } from '@edgekeep/core/audit/note';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { rootProfile } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import { Migrator } from 'kysely/migration';
import { openSqlite } from '../engine/sqlite.ts';
import type { Tables } from '../schema.ts';
import { migration as mainJob } from './0001-main-job.ts';
import { migration as revocation } from './0002-revocation.ts';
import { migration as deviceTokens } from './0003-device-tokens.ts';
import { migration as registry } from './0004-registry.ts';
import { migration as platformSecrets } from './0005-platform-secrets.ts';
import { migration as enrolmentGroups } from './0006-enrolment-groups.ts';

const before = {
  '0001': mainJob,
  '0002': revocation,
  '0003': deviceTokens,
  '0004': registry,
  '0005': platformSecrets,
};

test('witness keys and operational keys of a store from before are known afterwards', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-migration-'));
  const db = openSqlite<Tables>(join(folder, 'hub.sqlite'), { mode: 'write' });
  const migrate = async (migrations: typeof before & { '0006'?: typeof enrolmentGroups }) => {
    const provider = { getMigrations: async () => ({ ...migrations }) };
    const { error } = await new Migrator({ db, provider }).migrateToLatest();
    assert.equal(error, undefined);
  };
  await migrate(before);
  const witness = verifierKey('hub/press-1', generateKeyPairSync('ed25519').publicKey, 'cosignature-v1');
  const { certificate: der, spki } = await someCertificate();
  await db
    .insertInto('device')
    .values({
      id: 'press-1',
      tier: 'tpm',
      state: 'active',
      state_reason: '',
      identity: '{}',
      root_sha256: '1',
      witness_key: encodeVerifierKey(witness),
      enrolled_at: 1,
      seen_at: 1,
      reset_count: 0,
      appraisal: null,
      appraised_at: null,
      counts: null,
    })
    .execute();
  const columns = { serial: '1', device_id: 'press-1', sha256: 'a', not_before: 1, not_after: 2, revoked_at: null };
  await db
    .withTables<{ certificate: typeof columns & { der: Uint8Array } }>()
    .insertInto('certificate')
    .values({ ...columns, der })
    .execute();

  await migrate({ ...before, '0006': enrolmentGroups });
  const [key] = await db.selectFrom('witness_key').selectAll().execute();
  assert.deepEqual(key?.device_id, 'press-1');
  assert.ok(encodeVerifierKey(witness).endsWith(`+${key.key}`));
  const row = await db.selectFrom('certificate').select(['spki_sha256', 'generation']).executeTakeFirstOrThrow();
  assert.deepEqual([row.spki_sha256, row.generation], [createHash('sha256').update(spki).digest('hex'), 1]);
  await db.destroy();
  await rm(folder, { recursive: true });
});

async function someCertificate() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const spki = encodeSpki(publicKey);
  const input = { spki, serialRandom: new Uint8Array(16).fill(7), notBeforeSeconds: 1, notAfterSeconds: 1_000 };
  const template = rootProfile(input, commonNameOnly('any'));
  return { spki, certificate: await issueCertificate(template, signerFromKey(privateKey)) };
}
