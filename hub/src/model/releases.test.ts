// Changes to a release during an upload, and after the release was withdrawn.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, test } from 'node:test';
import { encodeManifest } from '@edgekeep/core/model/manifest';
import { Database } from '../store/database.ts';
import { Blobs } from './blobs.ts';
import {
  addReleaseFile,
  findPublishedRow,
  getRelease,
  highestServed,
  publishRelease,
  withdrawRelease,
} from './releases.ts';

const path = 'weights.bin';
const by = { actor: 'person:ada/desk', nowMs: 1 };
let folder = '';
let database: Database;
let blobs: Blobs;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-releases-'));
  database = await Database.open(join(folder, 'hub.sqlite'));
  blobs = new Blobs(join(folder, 'blobs'));
  const publisher = { fingerprint: 'f', name: 'p', public_key: 'k', added_at: 0 };
  await database.write(async (trx) => trx.insertInto('publisher').values(publisher).execute());
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

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
  await database.write(async (trx) => {
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
  await addReleaseFile(database, blobs, { ...id, path, source: bytes('first') });
  await publishRelease(database, { ...id, ...by });
  return id;
}

// SECURITY.md: HUB-13
test('an upload that began before the release was published does not replace its file', async () => {
  const id = await begin('1.0.0');
  await addReleaseFile(database, blobs, { ...id, path, source: bytes('first') });
  const slow = new PassThrough();
  const late = addReleaseFile(database, blobs, { ...id, path, source: slow });
  slow.write('secon');
  const { files } = await publishRelease(database, { ...id, ...by });
  slow.end('d');
  await assert.rejects(late, { code: 'conflict', message: /published during this upload/ });
  assert.deepEqual((await getRelease(database, id.name, id.version)).files, files);
});

test('an upload for a release that was begun anew does not become its file', async () => {
  const id = await begin('1.0.0');
  const slow = new PassThrough();
  const late = addReleaseFile(database, blobs, { ...id, path, source: slow });
  slow.write('secon');
  // The upload has read its release once its first bytes are accepted.
  await new Promise<void>((resolve) => slow.once('drain', resolve).write(Buffer.alloc(1 << 17)));
  await begin('1.0.0', 1);
  slow.end();
  await assert.rejects(late, { code: 'conflict', message: /begun anew/ });
  assert.deepEqual((await getRelease(database, id.name, id.version)).files, []);
});

// SECURITY.md: HUB-13
test('publish does not bring a withdrawn release back, and its files stay as they were', async () => {
  const id = await published('1.0.0');
  const slow = new PassThrough();
  const late = addReleaseFile(database, blobs, { ...id, path, source: slow });
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
