// Releases of models: a signed manifest, sealed files, and the model key wrapped under the platform key. A release is created, filled with
// its files, then published; only a published one is offered to devices.
import { voidLeasesOfRelease } from '../revocation/leases.ts';
import type { Kysely, RawBuilder } from 'kysely';
import type { Readable } from 'node:stream';
import { toHex } from '@edgekeep/core/bytes';
import { manifestDigest, parseManifest } from '@edgekeep/core/model/manifest';
import { verifyModelRelease } from '@edgekeep/core/model/release';
import { compareVersions } from '@edgekeep/core/model/version-order';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { ModelFileRow, ModelReleaseRow } from '../store/tables/model.ts';
import type { ArtifactStore, UploadStart } from '../artifact/artifact-store.ts';
import { assertPublisher, listPublishers } from '../publisher/publishers.ts';
import { modelKeyLength, wrapModelKey } from './key-wrap.ts';

// A sealed file is a little larger than its plaintext: 28 bytes a segment, and a header (spec/sealed-model.md). With the shortest sensible
// segments of 4 KiB this is below one per cent.
const maxSealedSize = (size: number) => Math.ceil(size * 1.02) + 65_536;

export interface Release {
  readonly row: ModelReleaseRow;
  readonly files: readonly ModelFileRow[];
}

/** Verifies the signature against the trusted publishers and stores the release as `uploading`. */
export async function createRelease(
  database: Database,
  platformKey: PlatformKey,
  order: { manifest: Uint8Array; signature: string; modelKey: Uint8Array; actor: string; nowMs: number },
): Promise<Release> {
  if (order.modelKey.length !== modelKeyLength) throw new HubError('request-invalid', 'a model key has 32 bytes');
  const publishers = await listPublishers(database);
  if (publishers.length === 0) {
    throw new HubError(
      'publisher-untrusted',
      'no publisher is trusted yet: `edgekeep publisher trust PUB.pem` adds one',
    );
  }
  const verdict = verifyModelRelease({
    bundleBytes: Buffer.from(order.signature),
    manifestBytes: order.manifest,
    trustedKeys: publishers,
  });
  if (verdict.kind === 'refused') {
    throw new HubError('release-invalid', 'the signature of the release is not accepted', { reasons: verdict.reasons });
  }
  const { name, version } = verdict.manifest;
  const publisher = verdict.signerFingerprint;
  const row = await database.write(async (trx) => {
    await assertPublisher(trx, publisher, order.nowMs);
    await assertMayUpload(trx, { name, version });
    await trx.deleteFrom('model_file').where('name', '=', name).where('version', '=', version).execute();
    await trx.deleteFrom('model_release').where('name', '=', name).where('version', '=', version).execute();
    // Wrapped inside the transaction: a roll-over of the platform key depends on it (jobs/platform-key-roll-over.ts).
    const manifest_digest = toHex(manifestDigest(order.manifest));
    const created: ModelReleaseRow = {
      name,
      version,
      state: 'uploading',
      manifest: order.manifest,
      manifest_digest,
      signature: order.signature,
      publisher,
      wrapped_key: wrapModelKey(platformKey, order.modelKey, { name, version, manifest_digest }),
      created_at: order.nowMs,
      published_at: null,
    };
    await trx.insertInto('model_release').values(created).execute();
    await appendEntry(trx, {
      at: order.nowMs,
      kind: 'model-upload-begun',
      actor: order.actor,
      subject: `${name}@${version}`,
      data: { manifestDigest: manifest_digest, publisher },
    });
    return created;
  });
  return { row, files: [] };
}

/** The version is not published, superseded or withdrawn. */
async function assertMayUpload(
  trx: WriteTransaction,
  { name, version }: { readonly name: string; readonly version: string },
): Promise<void> {
  const old = await trx
    .selectFrom('model_release')
    .select('state')
    .where('name', '=', name)
    .where('version', '=', version)
    .executeTakeFirst();
  if (old !== undefined && old.state !== 'uploading') {
    throw new HubError(
      'conflict',
      `${name} ${version} is ${old.state} already: a release never changes, publish a new version`,
    );
  }
}

/** The name under which the bytes of an incoming file are kept. */
export function uploadName({ name, version, path }: { name: string; version: string; path: string }): string {
  return JSON.stringify([name, version, path]);
}

/** Stores one sealed file of a release that is still being filled. */
export async function addReleaseFile(
  database: Database,
  artifacts: ArtifactStore,
  file: { name: string; version: string; path: string; source: Readable; beginning?: UploadStart | undefined },
): Promise<ModelFileRow> {
  const { row } = await getRelease(database, file.name, file.version);
  assertState(row, 'uploading', 'a release never changes, publish a new version');
  const expected = parseManifest(row.manifest).files.find(({ path }) => path === file.path);
  if (expected === undefined)
    throw new HubError('request-invalid', `the manifest names no file ${JSON.stringify(file.path)}`);
  const { sha256, size } = await artifacts.put(file.source, maxSealedSize(expected.size), {
    name: uploadName(file),
    beginning: file.beginning,
  });
  const stored = { name: file.name, version: file.version, path: file.path, sealed_sha256: sha256, sealed_size: size };
  await database.write(async (trx) => {
    // An upload takes as long as its sender wants: meanwhile the release may have been published, or begun again.
    const now = await stateIn(trx, file);
    const same = now?.manifest_digest === row.manifest_digest && now.created_at === row.created_at;
    if (now?.state !== 'uploading' || !same) {
      const became = now?.state === 'uploading' ? 'started again' : (now?.state ?? 'removed');
      throw new HubError('conflict', `${file.name} ${file.version} was ${became} during this upload`);
    }
    await trx
      .insertInto('model_file')
      .values(stored)
      .onConflict((c) =>
        c.columns(['name', 'version', 'path']).doUpdateSet({ sealed_sha256: sha256, sealed_size: size }),
      )
      .execute();
  });
  return stored;
}

/** Makes a complete release available to devices, and logs it. */
export async function publishRelease(
  database: Database,
  order: { name: string; version: string; actor: string; nowMs: number },
): Promise<Release> {
  await database.write(async (trx) => {
    const { row, files } = await releaseIn(trx, order.name, order.version);
    if (row.state === 'published') return;
    assertState(row, 'uploading', 'publish a new version');
    // Its upload may have begun before the publisher's end.
    await assertPublisher(trx, row.publisher, order.nowMs);
    const missing = parseManifest(row.manifest).files.filter(({ path }) => !files.some((file) => file.path === path));
    if (missing.length > 0)
      throw new HubError('conflict', `not all files are here yet: ${missing.map(({ path }) => path).join(', ')}`);
    await trx
      .updateTable('model_release')
      .set({ state: 'published', published_at: order.nowMs })
      .where('name', '=', order.name)
      .where('version', '=', order.version)
      .execute();
    await appendEntry(trx, {
      at: order.nowMs,
      kind: 'model-published',
      actor: order.actor,
      subject: `${order.name}@${order.version}`,
      data: { manifestDigest: row.manifest_digest, publisher: row.publisher, files: files.length },
    });
  });
  return getRelease(database, order.name, order.version);
}

/**
 * Withdraws a release permanently: no device is offered it or gets its key again, and the leases on it end. The version before it is
 * offered to devices that have served none higher; the others refuse it as a roll-back (docs/design/withdrawn-release.md).
 */
export async function withdrawRelease(
  database: Database,
  order: { name: string; version: string; actor: string; nowMs: number },
): Promise<Release> {
  const { name, version, actor, nowMs } = order;
  await database.write(async (trx) => {
    const { row } = await releaseIn(trx, name, version);
    assertState(row, 'published', 'only a published release can be withdrawn');
    await trx
      .updateTable('model_release')
      .set({ state: 'withdrawn' })
      .where('name', '=', name)
      .where('version', '=', version)
      .execute();
    const data = { leasesRevoked: await voidLeasesOfRelease(trx, { model: name, version }, nowMs) };
    await appendEntry(trx, { at: nowMs, kind: 'model-withdrawn', actor, subject: `${name}@${version}`, data });
  });
  return getRelease(database, name, version);
}

/** The highest version of a model that devices may have served. */
export async function highestServed(database: Database, name: string): Promise<string | undefined> {
  const rows = await database.read
    .selectFrom('model_release')
    .select('version')
    .where('name', '=', name)
    .where('state', 'in', ['published', 'withdrawn'])
    .execute();
  return rows.map(({ version }) => version).toSorted((a, b) => compareVersions(b, a))[0];
}

export async function getRelease(database: Database, name: string, version: string): Promise<Release> {
  return releaseIn(database.read, name, version);
}

async function releaseIn(db: Kysely<Tables>, name: string, version: string): Promise<Release> {
  const row = await stateIn(db, { name, version });
  if (row === undefined)
    throw new HubError('not-found', `no release ${name} ${version}: \`edgekeep model list\` shows all`);
  return { row, files: await filesOf(db, name, version) };
}

async function stateIn(
  db: Kysely<Tables>,
  { name, version }: { readonly name: string; readonly version: string },
): Promise<ModelReleaseRow | undefined> {
  return db
    .selectFrom('model_release')
    .selectAll()
    .where('name', '=', name)
    .where('version', '=', version)
    .executeTakeFirst();
}

function assertState(
  { name, version, state }: ModelReleaseRow,
  expected: ModelReleaseRow['state'],
  next: string,
): void {
  if (state === expected) return;
  throw new HubError('conflict', `${name} ${version} is ${state}, not ${expected}: ${next}`);
}

/** The release that devices should run: the one published last, or the requested version. */
export async function findPublishedRelease(database: Database, name: string, version?: string): Promise<Release> {
  const row = await findPublishedRow(database, name, version);
  return { row, files: await filesOf(database.read, row.name, row.version) };
}

/** As `findPublishedRelease`, without the list of its files. */
export async function findPublishedRow(database: Database, name: string, version?: string): Promise<ModelReleaseRow> {
  return publishedIn(database.read, name, version);
}

/** The same inside a transaction that acts on it. */
export async function publishedIn(db: Kysely<Tables>, name: string, version?: string): Promise<ModelReleaseRow> {
  const [row] = version === undefined ? await newest(db, { name }) : await ofVersion(db, { name, version });
  return row ?? nothingPublished(name, version);
}

/** Which release `publishedIn` gives, without the manifest and the keys. */
export async function publishedNow(db: Kysely<Tables>, name: string): Promise<PublishedNow> {
  const [row] = await newestName(db, { name });
  return row ?? nothingPublished(name);
}

export type PublishedNow = Pick<ModelReleaseRow, 'version' | 'manifest_digest'>;

const published = (db: Kysely<Tables>, name: RawBuilder<string>) =>
  db
    .selectFrom('model_release')
    .where('name', '=', name)
    .where('state', '=', 'published')
    .orderBy('published_at', 'desc')
    .orderBy('version', 'desc')
    .limit(1);
const newest = prepared<{ name: string }, ModelReleaseRow>((db, value) => published(db, value('name')).selectAll());
const newestName = prepared<{ name: string }, PublishedNow>((db, value) =>
  published(db, value('name')).select(['version', 'manifest_digest']),
);
const ofVersion = prepared<{ name: string; version: string }, ModelReleaseRow>((db, value) =>
  published(db, value('name')).where('version', '=', value('version')).selectAll(),
);

function nothingPublished(name: string, version?: string): never {
  throw new HubError('not-found', `no published release of ${name}${version === undefined ? '' : ` ${version}`}`);
}

export async function listReleases(database: Database, limit: number): Promise<readonly Release[]> {
  const rows = await database.read
    .selectFrom('model_release')
    .selectAll()
    .orderBy('created_at', 'desc')
    .limit(limit)
    .execute();
  return Promise.all(rows.map(async (row) => ({ row, files: await filesOf(database.read, row.name, row.version) })));
}

async function filesOf(db: Kysely<Tables>, name: string, version: string): Promise<readonly ModelFileRow[]> {
  return db
    .selectFrom('model_file')
    .selectAll()
    .where('name', '=', name)
    .where('version', '=', version)
    .orderBy('path')
    .execute();
}
