// Migrates a store from before keys were canonical.
import assert from 'node:assert/strict';
import { createHash, ECDH, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { parseHex, toBase64url } from '@edgekeep/core/bytes';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { encodePem } from '@edgekeep/core/identity/pem';
import { rootProfile } from '@edgekeep/core/identity/profile';
import { encodePublicKeyPem, encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import { Database } from './database.ts';
import { raiseDuplicateKeys } from '../respond/key-doubles.ts';
import { migration } from './migrations/0014-canonical-keys.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-canonical-keys-'));
});
after(() => rm(folder, { recursive: true }));

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** One P-256 key in its canonical and in its compressed form. */
function twoForms() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const canonical = encodeSpki(publicKey);
  const point = ECDH.convertKey(canonical.subarray(-65), 'prime256v1', undefined, undefined, 'compressed');
  const header = parseHex('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'header');
  const compressed = Buffer.concat([header, Buffer.from(point)]);
  return { canonical, compressed, publicKey, signer: signerFromKey(privateKey) };
}

/** Opens a store with rows from before the migration, and runs the migration. */
async function openedWith(name: string, write: (store: DatabaseSync) => void): Promise<Database> {
  const path = join(folder, name);
  {
    await using made = await Database.open(path);
    assert.ok(made);
  }
  {
    using store = new DatabaseSync(path);
    store.exec('drop table key_double');
    write(store);
  }
  const database = await Database.open(path);
  await database.write(async (trx) => migration.up(trx));
  return database;
}

const softwareIdentity = (spki: Uint8Array) =>
  JSON.stringify({ kind: 'software', signingKey: toBase64url(spki), encryptionKey: 'AA' });

function insertDevice(store: DatabaseSync, id: string, identity: string, root: string): void {
  store
    .prepare(
      `insert into device (id, tier, state, state_reason, identity, root_sha256, witness_key, enrolled_at, seen_at, reset_count)
       values (?, 'software', 'active', '', ?, ?, '', 1, 1, -1)`,
    )
    .run(id, identity, root);
}

test('a device whose key was stored compressed gets the digest of its canonical form, and so does its block', async () => {
  const { canonical, compressed } = twoForms();
  await using database = await openedWith('one.sqlite', (store) => {
    insertDevice(store, 'pump-1', softwareIdentity(compressed), sha256(compressed));
    store.prepare('insert into blocked_root values (?, ?, 1)').run(sha256(compressed), 'stolen');
  });
  const device = await database.read.selectFrom('device').selectAll().executeTakeFirstOrThrow();
  assert.equal(device.root_sha256, sha256(canonical));
  assert.equal(device.identity, softwareIdentity(canonical));
  const blocked = await database.read.selectFrom('blocked_root').select('root_sha256').execute();
  assert.ok(blocked.some(({ root_sha256: root }) => root === sha256(canonical)));
});

// SECURITY.md: DEV-02
test('two devices with one key stay, and one alert names both', async () => {
  const { canonical, compressed } = twoForms();
  await using database = await openedWith('two.sqlite', (store) => {
    insertDevice(store, 'twin-1', softwareIdentity(canonical), sha256(canonical));
    insertDevice(store, 'twin-2', softwareIdentity(compressed), sha256(compressed));
  });
  const devices = await database.read.selectFrom('device').select(['id', 'root_sha256']).orderBy('id').execute();
  assert.deepEqual(
    devices.map(({ id, root_sha256: root }) => [id, root]),
    [
      ['twin-1', sha256(canonical)],
      ['twin-2', sha256(compressed)],
    ],
  );
  await raiseDuplicateKeys(database, 7);
  await raiseDuplicateKeys(database, 8);
  const alerts = await database.read.selectFrom('alert').select(['kind', 'severity', 'count', 'title']).execute();
  assert.equal(alerts.length, 1);
  assert.deepEqual([alerts[0]?.kind, alerts[0]?.severity, alerts[0]?.count], ['keys-alike', 'critical', 1]);
  assert.match(alerts[0]?.title ?? '', /device twin-1, device twin-2/);
});

test('a key that was blocked in one form and is in use in another raises an alert', async () => {
  const { canonical, compressed } = twoForms();
  await using database = await openedWith('blocked.sqlite', (store) => {
    insertDevice(store, 'twin-2', softwareIdentity(compressed), sha256(compressed));
    store.prepare('insert into blocked_root values (?, ?, 1)').run(sha256(canonical), 'stolen');
  });
  await raiseDuplicateKeys(database, 7);
  const [alert] = await database.read.selectFrom('alert').select('title').execute();
  assert.match(alert?.title ?? '', /device twin-2, the list of blocked roots of trust/);
});

test('a certificate for a compressed key is found by the digest of the canonical form, and another device with that key is named', async () => {
  const { canonical, compressed, signer } = twoForms();
  const issue = (spki: Uint8Array) => {
    const serialRandom = Uint8Array.from(spki.subarray(-16));
    const input = { spki, serialRandom, notBeforeSeconds: 0, notAfterSeconds: 2_000_000_000 };
    return issueCertificate(rootProfile(input, commonNameOnly('x')), signer);
  };
  const [first, second] = [await issue(canonical), await issue(compressed)];
  await using database = await openedWith('certificates.sqlite', (store) => {
    insertDevice(store, 'est-1', 'est', sha256(canonical));
    insertDevice(store, 'est-2', 'est', sha256(compressed));
    const insert = store.prepare(
      `insert into certificate (serial, device_id, sha256, der, not_before, not_after, spki_sha256, generation)
       values (?, ?, ?, ?, 0, 1, ?, 1)`,
    );
    insert.run('01', 'est-1', sha256(first), first, sha256(canonical));
    insert.run('02', 'est-2', sha256(second), second, sha256(compressed));
  });
  const rows = await database.read.selectFrom('certificate').select('spki_sha256').execute();
  assert.deepEqual(new Set(rows.map(({ spki_sha256: digest }) => digest)), new Set([sha256(canonical)]));
  await raiseDuplicateKeys(database, 7);
  const [alert] = await database.read.selectFrom('alert').select('title').execute();
  assert.match(alert?.title ?? '', /device est-1, device est-2/);
});

test('a publisher that was trusted twice in two forms is named; rows that nobody can read keep no hub from starting', async () => {
  const { compressed, publicKey } = twoForms();
  await using database = await openedWith('publishers.sqlite', (store) => {
    const insert = store.prepare('insert into publisher (fingerprint, name, public_key, added_at) values (?, ?, ?, 1)');
    insert.run('aa', 'ada', encodePublicKeyPem(publicKey));
    insert.run('bb', 'eve', encodePem('PUBLIC KEY', compressed));
    insert.run('cc', 'nobody', 'no key at all');
    insertDevice(store, 'odd', '{"kind":"software","signingKey":"AA","encryptionKey":"AA"}', 'aa');
    insertDevice(store, 'odder', 'no json', 'bb');
  });
  await raiseDuplicateKeys(database, 7);
  const [alert] = await database.read.selectFrom('alert').select('title').execute();
  assert.match(alert?.title ?? '', /publisher ada \(aa\), publisher eve \(bb\)/);
});
