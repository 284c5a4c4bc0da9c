// Changes to a release during an upload, and after the release was withdrawn.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, test } from 'node:test';
import { encodeManifest } from '@edgekeep/core/model/manifest';
import { fixedKey } from '@edgekeep/core/attest/testing';
import { signerFromKey } from '@edgekeep/core/signer';
import { signRelease, type TestRelease, trustTestPublisher } from '../publisher/testing-publisher.ts';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { PlatformKey } from '../secrets/platform-key.ts';
import type { Database } from '../store/database.ts';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { ArtifactFolder } from '../artifact/artifact-folder.ts';
import {
  addReleaseFile,
  createRelease,
  findPublishedRow,
  getRelease,
  highestServed,
  publishRelease,
  withdrawRelease,
} from './releases.ts';
import { unwrapModelKey } from './key-wrap.ts';

const path = 'weights.bin';
const by = { actor: 'person:ada/desk', nowMs: 1 };
let store: TestStore;
let database: Database;
let artifacts: ArtifactFolder;

beforeEach(async () => {
  store = await openTestStore();
  database = store.database;
  artifacts = new ArtifactFolder(join(store.folder, 'blobs'));
});
afterEach(() => store[Symbol.asyncDispose]());

async function begin(version: string, createdAt = 0): Promise<{ readonly name: string; readonly version: string }> {
  const file = {
    path,
    role: 'primary',
    mediaType: 'application/octet-stream',
    size: 1_000_000,
    sha256: '0'.repeat(64),
  } as const;
  const id = { name: 'belt', version };
  const manifest = encodeManifest({ type: 'edgekeep-model-manifest/v1', ...id, files: [file] });
  const publisher = { fingerprint: 'f', name: 'p', public_key: 'k', added_at: 0 };
  await database.write(async (trx) => {
    await trx
      .insertInto('publisher')
      .values(publisher)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const at = (q: ReturnType<typeof trx.deleteFrom<'model_release'>>) =>
      q.where('name', '=', id.name).where('version', '=', version);
    await at(trx.deleteFrom('model_release')).execute();
    const row = {
      ...id,
      state: 'uploading',
      manifest,
      manifest_digest: `d${version}`,
      signature: 's',
      publisher: 'f',
    } as const;
    await trx
      .insertInto('model_release')
      .values({ ...row, wrapped_key: new Uint8Array(1), created_at: createdAt, published_at: null })
      .execute();
  });
  return id;
}

const bytes = (text: string): Readable => Readable.from([Buffer.from(text)]);

async function published(version: string): Promise<{ readonly name: string; readonly version: string }> {
  const id = await begin(version);
  await addReleaseFile(database, artifacts, { ...id, path, source: bytes('first') });
  await publishRelease(database, { ...id, ...by });
  return id;
}

// SECURITY.md: HUB-13
test('an upload that began before the release was published does not replace its file', async () => {
  const id = await begin('1.0.0');
  await addReleaseFile(database, artifacts, { ...id, path, source: bytes('first') });
  const slow = new PassThrough();
  const late = addReleaseFile(database, artifacts, { ...id, path, source: slow });
  slow.write('secon');
  const { files } = await publishRelease(database, { ...id, ...by });
  slow.end('d');
  await assert.rejects(late, { code: 'conflict', message: /published during this upload/ });
  assert.deepEqual((await getRelease(database, id.name, id.version)).files, files);
});

test('an upload for a release that was begun anew does not become its file', async () => {
  const id = await begin('1.0.0');
  const slow = new PassThrough();
  const late = addReleaseFile(database, artifacts, { ...id, path, source: slow });
  slow.write('secon');
  // The upload has read its release once its first bytes are accepted.
  await new Promise<void>((resolve) => slow.once('drain', resolve).write(Buffer.alloc(1 << 17)));
  await begin('1.0.0', 1);
  slow.end();
  await assert.rejects(late, { code: 'conflict', message: /started again/ });
  assert.deepEqual((await getRelease(database, id.name, id.version)).files, []);
});

// SECURITY.md: HUB-13
test('publish does not bring a withdrawn release back, and its files stay as they were', async () => {
  const id = await published('1.0.0');
  const slow = new PassThrough();
  const late = addReleaseFile(database, artifacts, { ...id, path, source: slow });
  await assert.rejects(late, { code: 'conflict' });
  await withdrawRelease(database, { ...id, ...by });
  await assert.rejects(publishRelease(database, { ...id, ...by }), { code: 'conflict', message: /withdrawn/ });
  await assert.rejects(withdrawRelease(database, { ...id, ...by }), { code: 'conflict' });
  await assert.rejects(findPublishedRow(database, id.name), { code: 'not-found' });
});

test('of two orders at once one withdraws, and the log has one entry', async () => {
  const id = await published('1.0.0');
  const outcomes = await Promise.allSettled([1, 2].map(() => withdrawRelease(database, { ...id, ...by })));
  assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
});

test('the highest version that devices may have served counts withdrawn releases, by version and not by date', async () => {
  await published('1.10.0');
  await published('1.9.0');
  await withdrawRelease(database, { name: 'belt', version: '1.10.0', ...by });
  assert.equal(await highestServed(database, 'belt'), '1.10.0');
  assert.equal((await findPublishedRow(database, 'belt')).version, '1.9.0');
});

const platformKey = new PlatformKey(new Map([[1, new Uint8Array(32).fill(7)]]));
const modelKey = new Uint8Array(32).fill(9);
const id = (version: string) => ({ name: 'belt', version });

async function create(version: string, change: Partial<TestRelease & { modelKey: Uint8Array }> = {}) {
  const signed = await signRelease(id(version));
  return createRelease(database, platformKey, { ...signed, modelKey, actor: by.actor, nowMs: 1, ...change });
}
async function createAndPublish(version: string, nowMs = 1): Promise<void> {
  await create(version);
  await addReleaseFile(database, artifacts, { ...id(version), path, source: bytes('sealed') });
  await publishRelease(database, { ...id(version), actor: by.actor, nowMs });
}

test('a release that a trusted publisher signed is created, with its key wrapped for this version alone', async () => {
  const fingerprint = await trustTestPublisher(database);
  const { row } = await create('1.0.0');
  assert.deepEqual([row.state, row.publisher], ['uploading', fingerprint]);
  assert.deepEqual(Buffer.from(unwrapModelKey(platformKey, row.wrapped_key, row)), Buffer.from(modelKey));
  for (const [name, version] of [
    ['belt', '1.0.1'],
    ['press', '1.0.0'],
  ] as const)
    assert.throws(() => unwrapModelKey(platformKey, row.wrapped_key, { ...row, name, version }), {
      code: 'store-failed',
    });
});

test('a release of a publisher that nobody trusts, with another manifest or a key of another length is refused', async () => {
  assert.equal(await refusalOf(create('1.0.0')), 'publisher-untrusted');
  await trustTestPublisher(database);
  const stranger = await signRelease(id('1.0.0'), signerFromKey(fixedKey(77)));
  assert.equal(await refusalOf(create('1.0.0', stranger)), 'release-invalid: wrong-key');
  const { manifest } = await signRelease(id('2.0.0'));
  assert.equal(await refusalOf(create('1.0.0', { manifest })), 'release-invalid: manifest-mismatch');
  for (const length of [0, 16, 31, 33])
    assert.equal(await refusalOf(create('1.0.0', { modelKey: new Uint8Array(length) })), 'request-invalid');
  await assert.rejects(getRelease(database, 'belt', '1.0.0'), { code: 'not-found' });
});

test('a publisher that is trusted no longer when the release is written publishes nothing', async () => {
  await trustTestPublisher(database);
  const signed = await signRelease(id('1.0.0'));
  // It is read as trusted, and gone before the write that was begun after this one.
  const begun = createRelease(database, platformKey, { ...signed, modelKey, actor: by.actor, nowMs: 1 });
  const gone = database.write((trx) => trx.deleteFrom('publisher').where('name', '=', 'works').execute());
  const [created] = await Promise.allSettled([begun, gone]);
  assert.ok(created.status === 'rejected');
  assert.equal(await refusalOf(Promise.reject(created.reason)), 'publisher-untrusted');
});

test('a release that is published or withdrawn never changes; one that is not yet is begun anew', async () => {
  await trustTestPublisher(database);
  await create('1.0.0');
  await create('1.0.0');
  await addReleaseFile(database, artifacts, { ...id('1.0.0'), path, source: bytes('sealed') });
  await publishRelease(database, { ...id('1.0.0'), ...by });
  assert.equal(await refusalOf(create('1.0.0')), 'conflict');
  await withdrawRelease(database, { ...id('1.0.0'), ...by });
  assert.equal(await refusalOf(create('1.0.0')), 'conflict');
});

test('a release is published with all of its files, and takes no file that its manifest does not name', async () => {
  await trustTestPublisher(database);
  await create('1.0.0');
  const unknown = addReleaseFile(database, artifacts, { ...id('1.0.0'), path: '../evil', source: bytes('x') });
  assert.equal(await refusalOf(unknown), 'request-invalid');
  assert.equal(await refusalOf(publishRelease(database, { ...id('1.0.0'), ...by })), 'conflict');
  assert.equal(await refusalOf(findPublishedRow(database, 'belt')), 'not-found');
  await addReleaseFile(database, artifacts, { ...id('1.0.0'), path, source: bytes('sealed') });
  await publishRelease(database, { ...id('1.0.0'), ...by });
  const [entry] = (await auditEntries(database)).filter(({ kind }) => kind === 'model-published');
  assert.equal(entry?.subject, 'belt@1.0.0');
});

test('devices are offered the release that was published last, and of the withdrawn ones none', async () => {
  await trustTestPublisher(database);
  await createAndPublish('1.0.0', 10);
  await createAndPublish('1.1.0', 20);
  assert.equal((await findPublishedRow(database, 'belt')).version, '1.1.0');
  await withdrawRelease(database, { ...id('1.1.0'), ...by });
  assert.equal((await findPublishedRow(database, 'belt')).version, '1.0.0');
  assert.equal(await refusalOf(findPublishedRow(database, 'belt', '1.1.0')), 'not-found');
  assert.equal(await refusalOf(publishRelease(database, { ...id('1.1.0'), ...by })), 'conflict');
});

test('with a release the running leases on it end, and no others', async () => {
  await trustTestPublisher(database);
  await createAndPublish('1.0.0', 10);
  await createAndPublish('1.1.0', 20);
  await addDevices(database, deviceRow('press-1'));
  const lease = (leaseId: string, version: string, notAfter: number) => ({
    id: leaseId,
    device_id: 'press-1',
    model: 'belt',
    version,
    document: '{}',
    not_after: notAfter,
    revoked_at: null,
    log_index: 0,
    attestation_result: '',
  });
  const leases = [lease('own', '1.1.0', 100), lease('over', '1.1.0', 50), lease('other', '1.0.0', 100)];
  await database.write((trx) => trx.insertInto('lease').values(leases).execute());
  await withdrawRelease(database, { ...id('1.1.0'), actor: by.actor, nowMs: 50 });
  const ended = await database.read.selectFrom('lease').select('id').where('revoked_at', 'is not', null).execute();
  assert.deepEqual(
    ended.map((row) => row.id),
    ['own'],
  );
  const [entry] = (await auditEntries(database)).filter(({ kind }) => kind === 'model-withdrawn');
  assert.deepEqual(entry?.data, { leasesRevoked: 1 });
});

test('a release that is not yet published is no version that devices may have served', async () => {
  await trustTestPublisher(database);
  await createAndPublish('1.0.0');
  await create('2.0.0');
  assert.equal(await highestServed(database, 'belt'), '1.0.0');
  assert.equal(await highestServed(database, 'none'), undefined);
});
