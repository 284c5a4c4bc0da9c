import type { ListedKey } from '@edgekeep/core/authority/key-list';
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeTrust, parseTrust } from '@edgekeep/core/access/trust';
import { encodeVerifierKey, verifierKey } from '@edgekeep/core/audit/note';
import { trustPublisher } from '../../publisher/publishers.ts';
import { Database } from '../../store/database.ts';
import { trustFile } from './trust.ts';

const ed25519 = () => generateKeyPairSync('ed25519').publicKey;
const p256 = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey;

async function withStore(run: (database: Database) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-trust-'));
  try {
    await using database = await Database.open(join(folder, 'hub.sqlite'));
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

test('the trust file is byte for byte the one of core, with a witness for each device that has a key and is not retired', async () => {
  await withStore(async (database) => {
    const log = verifierKey('a.log', ed25519(), 'ed25519');
    const keys = keysOf(log.publicKey, p256());
    const publisher = p256().export({ type: 'spki', format: 'pem' }).toString();
    await assert.rejects(trustFile(database, keys, 1, log)(), { code: 'conflict' });
    await trustPublisher(database, { name: 'p', publicKey: publisher, actor: 'a test', nowMs: 1 });
    const none = parseTrust(await trustFile(database, keys, 2, log)());
    assert.deepEqual([none.policy.witnesses.length, none.policy.quorum], [0, 0]);
    const names = ['c', 'a', 'b'];
    for (const name of names) {
      const key = encodeVerifierKey(verifierKey(`edgekeep.local/device/${name}`, ed25519(), 'cosignature-v1'));
      await addDevice(database, name, 'active', key);
    }
    const gone = encodeVerifierKey(verifierKey('edgekeep.local/device/gone', ed25519(), 'cosignature-v1'));
    await addDevice(database, 'gone', 'retired', gone);
    await addDevice(database, 'no-key', 'active', '');
    const file = await trustFile(database, keys, 2, log)();
    const trust = parseTrust(file);
    assert.deepEqual(
      trust.policy.witnesses.map(({ name }) => name),
      ['a', 'b', 'c'].map((name) => `edgekeep.local/device/${name}`),
    );
    assert.equal(trust.policy.quorum, 2);
    assert.deepEqual(Buffer.from(file).toString(), Buffer.from(encodeTrust(trust)).toString());
  });
});
