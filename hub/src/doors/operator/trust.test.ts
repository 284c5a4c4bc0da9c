import type { ListedKey } from '@edgekeep/core/authority/key-list';
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { parseTrust } from '@edgekeep/core/access/trust';
import { encodeVerifierKey, verifierKey } from '@edgekeep/core/audit/note';
import { trustPublisher } from '../../publisher/publishers.ts';
import { testPolicies } from '../../audit/testing-witness.ts';
import { recordChange } from '../../registry/history.ts';
import { endWitnessKey } from '../../registry/end-witness-key.ts';
import { setWitnessOrigin } from '../../registry/witness-keys.ts';
import { getDevice } from '../../registry/states.ts';
import { Database } from '../../store/database.ts';
import { storePlace } from '../../store/testing-place.ts';
import { tableList } from '../../store/security-tables.ts';
import { trustFile } from './trust.ts';

const ed25519 = () => generateKeyPairSync('ed25519').publicKey;
const p256 = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey;

async function withStore(run: (database: Database) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-trust-'));
  try {
    const thread = new URL('./pages-thread.ts', import.meta.url);
    await using database = await Database.open(await storePlace(folder), 'optional', thread);
    await run(database);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function addDevice(database: Database, id: string, state: 'active' | 'retired', witnessKey: string) {
  await database.write((trx) =>
    trx
      .insertInto('device')
      .values({
        id,
        tier: 'software',
        state,
        state_reason: '',
        identity: '{}',
        root_sha256: id,
        witness_key: witnessKey,
        enrolled_at: 1,
        seen_at: 1,
        reset_count: -1,
        appraisal: null,
        appraised_at: null,
        counts: null,
      })
      .execute(),
  );
}

const always = { fromSeconds: 0, untilSeconds: undefined, compromised: false };

function keysOf(log: KeyObject, attestation: KeyObject): Parameters<typeof trustFile>[1] {
  const keys: readonly ListedKey[] = [
    { purpose: 'log', publicKey: log, origin: 'a.log', ...always },
    { purpose: 'attestation-result', publicKey: attestation, origin: undefined, ...always },
  ];
  return { listed: { keys }, state: { rows: [], list: undefined } };
}

const trustBytes = async (...of: Parameters<typeof trustFile>) => (await trustFile(...of)()).bytes;

const policyOf = (quorum: number) => testPolicies(quorum, { tiers: ['software'] });

test('the trust file has a policy of C2SP with each device that has a key; a retired one has a time, one token counts once', async () => {
  await withStore(async (database) => {
    const log = verifierKey('a.log', ed25519(), 'ed25519');
    const keys = keysOf(log.publicKey, p256());
    const publisher = p256().export({ type: 'spki', format: 'pem' }).toString();
    await assert.rejects(trustBytes(database, keys, policyOf(1), log), { code: 'conflict' });
    await trustPublisher(database, { name: 'p', publicKey: publisher, actor: 'a test', nowMs: 1 });
    const none = parseTrust(await trustBytes(database, keys, policyOf(2), log));
    assert.deepEqual(none.policy.rule?.unreachable, { required: 2, available: 0 });
    const names = ['c', 'a', 'b'];
    for (const name of names) {
      const key = encodeVerifierKey(verifierKey(`edgekeep.local/device/${name}`, ed25519(), 'cosignature-v1'));
      await addDevice(database, name, 'active', key);
    }
    const gone = encodeVerifierKey(verifierKey('edgekeep.local/device/gone', ed25519(), 'cosignature-v1'));
    await addDevice(database, 'gone', 'retired', gone);
    await addDevice(database, 'no-key', 'active', '');
    await database.write(async (trx) => {
      for (const id of ['a', 'b']) await setWitnessOrigin(trx, id, 'token 1234');
      const change = { from: 'active', to: 'retired', reason: '', actor: 'a test' } as const;
      await recordChange(trx, { deviceId: 'gone', logIndex: 0, at: 1_800_000_000_000, ...change });
    });
    const file = await trustBytes(database, keys, policyOf(2), log);
    const { policy } = parseTrust(file);
    assert.deepEqual(
      policy.witnesses.map(({ name }) => name),
      ['a', 'b', 'c', 'gone'].map((name) => `edgekeep.local/device/${name}`),
    );
    assert.deepEqual([...(policy.rule?.endedSeconds ?? [])], [['device/gone', 1_800_000_000]]);
    const { witnessPolicy } = JSON.parse(Buffer.from(file).toString());
    const groups = witnessPolicy.text.split('\n').filter((line: string) => !line.startsWith('witness '));
    assert.deepEqual(groups, [
      'group token/1234 any device/a device/b',
      'group fleet 2 device/c device/gone token/1234',
      'quorum fleet',
      '',
    ]);
    const four = parseTrust(await trustBytes(database, keys, policyOf(4), log));
    assert.deepEqual(four.policy.rule?.unreachable, { required: 4, available: 3 });
  });
});

// SECURITY.md: DEV-101
test('a device counts as one witness with all the keys that it had, and in the group of its origin', async () => {
  await withStore(async (database) => {
    const log = verifierKey('a.log', ed25519(), 'ed25519');
    const publicKey = p256().export({ type: 'spki', format: 'pem' }).toString();
    await trustPublisher(database, { name: 'p', publicKey, actor: 'a test', nowMs: 1 });
    const newKey = (id: string) =>
      encodeVerifierKey(verifierKey(`edgekeep.local/device/${id}`, ed25519(), 'cosignature-v1'));
    for (const id of ['alone', 'grouped', 'other']) await addDevice(database, id, 'active', newKey(id));
    await database.write(async (trx) => {
      await setWitnessOrigin(trx, 'grouped', 'group line-4');
      for (const id of ['alone', 'grouped'])
        for (const seconds of [5, 6]) await endWitnessKey(trx, await getDevice(trx, id), newKey(id), seconds * 1_000);
    });
    const file = await trustBytes(database, keysOf(log.publicKey, p256()), policyOf(3), log);
    const { witnessPolicy } = JSON.parse(Buffer.from(file).toString());
    const groups = witnessPolicy.text.split('\n').filter((line: string) => !line.startsWith('witness '));
    const lines = (id: string) => [`device/${id}`, `device/${id}/key/1`, `device/${id}/key/2`].join(' ');
    assert.deepEqual(groups, [
      `group device/alone/any any ${lines('alone')}`,
      `group group/line-4 any ${lines('grouped')}`,
      'group fleet 3 device/alone/any device/other group/line-4',
      'quorum fleet',
      '',
    ]);
    const { rule, witnesses } = parseTrust(file).policy;
    assert.deepEqual([witnesses.length, rule?.endedSeconds.get('device/alone/key/2')], [7, 6]);
    const four = parseTrust(await trustBytes(database, keysOf(log.publicKey, p256()), policyOf(4), log));
    assert.deepEqual(four.policy.rule?.unreachable, { required: 4, available: 3 });
  });
});

// SECURITY.md: HUB-100
test('the trust file is made once for all who ask, and again after a device has changed or the policy is another', async () => {
  await withStore(async (database) => {
    const nothing = { admit: async () => {}, due: () => false, record: async () => {}, settled: () => {} };
    await database.watch(tableList.replayed, nothing);
    const publicKey = p256().export({ type: 'spki', format: 'pem' }).toString();
    await trustPublisher(database, { name: 'p', publicKey, actor: 'a test', nowMs: 1 });
    const log = verifierKey('a.log', ed25519(), 'ed25519');
    let policy = policyOf(0).current();
    const file = trustFile(database, keysOf(log.publicKey, p256()), { current: () => policy }, log);
    const first = await file();
    assert.deepEqual(gunzipSync(first.gzip), Buffer.from(first.bytes));
    await database.write((trx) => trx.insertInto('used_token').values({ sha256: 'x', expires_at: 1 }).execute());
    assert.equal(await file(), first);
    const key = encodeVerifierKey(verifierKey('edgekeep.local/device/a', ed25519(), 'cosignature-v1'));
    await addDevice(database, 'a', 'active', key);
    const second = await file();
    assert.equal(parseTrust(second.bytes).policy.witnesses.length, 1);
    assert.equal(await file(), second);
    policy = policyOf(1).current();
    const third = await file();
    assert.notEqual(third.sha256, second.sha256);
    assert.equal(await file(), third);
  });
});
