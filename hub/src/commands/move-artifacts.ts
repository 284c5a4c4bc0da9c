// `edgekeep hub move-artifacts` (docs/artifacts.md, "Moving"): sealed files and evidence of a stopped hub go from its folder into the bucket of its
// settings, or back. What is there already is not copied again, nothing is removed where it was, and hub.json changes once all is there.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { replaceFile } from '@edgekeep/host/durable-file';
import { ArtifactFolder } from '../artifact/artifact-folder.ts';
import type { ArtifactStore } from '../artifact/artifact-store.ts';
import { BucketArtifacts } from '../artifact/bucket-artifacts.ts';
import { EvidenceFiles } from '../attest/evidence-files.ts';
import { EvidenceObjects } from '../attest/evidence-objects.ts';
import { contentOf, type EvidenceStore } from '../attest/evidence-store.ts';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import { openBucket } from '../doors/bucket/open-bucket.ts';
import { encodeHubSettings, type HubSettings, readHubSettings, settingsFileName } from '../settings.ts';
import { Database } from '../store/database.ts';
import { openReader, type StorePlace } from '../store/engine/place.ts';
import { lockFolder } from '../store/folder-lock.ts';
import { isMigrated } from '../store/migrate.ts';
import { placeOfStore } from '../store/place-of-store.ts';
import type { Tables } from '../store/schema.ts';

export interface MoveOrder {
  readonly to: 'folder' | 's3';
  /** Whether it ends although something is lost where it was. */
  readonly leaveLost: boolean;
  readonly clock: Clock;
  readonly progress: (line: string) => void;
}

export interface MovedArtifacts {
  readonly to: 'folder' | 's3';
  /** Copied now, and those that were there already. */
  readonly files: number;
  readonly present: number;
  readonly evidence: number;
  /** Names of what could not be read, or was not what its digest says. */
  readonly lost: readonly string[];
  /** Whether the hub uses the new place from its next start on. */
  readonly inUse: boolean;
}

interface Place {
  readonly files: ArtifactStore;
  readonly evidence: EvidenceStore;
}

const ROWS_AT_ONCE = 200;

/** Throws `folder-in-use`, `store-in-use`, `settings-invalid`, `conflict`, and what the bucket refuses. */
export async function moveArtifacts(folder: string, order: MoveOrder): Promise<MovedArtifacts> {
  const { to, clock, leaveLost } = order;
  const settings = await readHubSettings(folder);
  for (const name of ['bucket', 'accessKeyId'] as const)
    if (settings.artifacts[name] === '')
      throw new HubError('settings-invalid', `artifacts.${name} is not set in hub.json`);
  using _ = lockFolder(folder);
  const place = placeOfStore(folder, settings);
  await assertMigrated(place);
  using opened = await openBucket(folder, settings.artifacts, clock);
  await using database = await Database.openAlone(place, { authority: 'optional' }, async () => async () => undefined);
  const ignored = () => undefined;
  const { bucket } = opened;
  const inFolder = {
    files: new ArtifactFolder(join(folder, 'blobs')),
    evidence: new EvidenceFiles(join(folder, 'evidence')),
  };
  const inBucket = {
    files: new BucketArtifacts({ database, bucket, clock }, ignored),
    evidence: new EvidenceObjects(bucket, clock, ignored),
  };
  const [source, target] = to === 's3' ? [inFolder, inBucket] : [inBucket, inFolder];
  const copied = await copyFiles(database, source, target, order);
  const kept = await copyEvidence(database, source, target, order);
  const lost = [...copied.lost, ...kept.lost];
  const inUse = lost.length === 0 || leaveLost;
  if (inUse) {
    const data = { to, files: copied.files, present: copied.present, evidence: kept.evidence, lost: lost.length };
    const entry = { at: clock(), kind: 'artifacts-moved', actor: 'hub-machine', subject: 'artifacts', data };
    await database.write((trx) => appendEntry(trx, entry));
    await useFrom(folder, settings, to);
  }
  return { to, ...copied, ...kept, lost, inUse };
}

async function useFrom(folder: string, settings: HubSettings, kind: 'folder' | 's3'): Promise<void> {
  if (settings.artifacts.kind === kind) return;
  const changed = { ...settings, artifacts: { ...settings.artifacts, kind } };
  await replaceFile(join(folder, settingsFileName), encodeHubSettings(changed));
}

async function assertMigrated(place: StorePlace): Promise<void> {
  await using reader = await openReader<Tables>(place);
  if (await isMigrated(reader)) return;
  throw new HubError('conflict', 'the store was written by another version: start the hub once, and stop it again');
}

/** The files of every release, withdrawn ones too. */
async function copyFiles(
  { read }: Database,
  source: Place,
  target: Place,
  { progress }: MoveOrder,
): Promise<Pick<MovedArtifacts, 'files' | 'present' | 'lost'>> {
  const lost: string[] = [];
  let [files, present, after] = [0, 0, ''];
  for (;;) {
    const rows = await read
      .selectFrom('model_file')
      .select(['sealed_sha256 as sha256', 'sealed_size as size'])
      .distinct()
      .where('sealed_sha256', '>', after)
      .orderBy('sealed_sha256')
      .limit(ROWS_AT_ONCE)
      .execute();
    for (const { sha256, size } of rows) {
      after = sha256;
      const outcome = await copyFile(source.files, target.files, { sha256, size });
      if (outcome === 'copied') files += 1;
      else if (outcome === 'present') present += 1;
      else lost.push(`sealed file ${sha256}: ${outcome.lost}`);
      progress(`${sha256}: ${typeof outcome === 'string' ? outcome : `lost: ${outcome.lost}`}`);
    }
    if (rows.length < ROWS_AT_ONCE) return { files, present, lost };
  }
}

interface Wanted {
  readonly sha256: string;
  readonly size: number;
}

async function copyFile(
  source: ArtifactStore,
  target: ArtifactStore,
  { sha256, size }: Wanted,
): Promise<'copied' | 'present' | { readonly lost: string }> {
  // By its bytes: a file of the right length that a power cut damaged is copied again.
  if ((await target.has(sha256, size)) && (await isWhole(target, { sha256, size }))) return 'present';
  try {
    const stored = await target.put(await source.open(sha256, 0, size - 1), size);
    if (stored.sha256 === sha256) return 'copied';
    await target.remove(stored.sha256, Number.MAX_SAFE_INTEGER);
    return { lost: `its bytes have the digest ${stored.sha256}` };
  } catch (error) {
    if (error instanceof HubError && error.code === 'artifact-lost') return { lost: error.message };
    throw error;
  }
}

async function isWhole(target: ArtifactStore, { sha256, size }: Wanted): Promise<boolean> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of await target.open(sha256, 0, size - 1))
      if (chunk instanceof Uint8Array) hash.update(chunk);
  } catch (error) {
    if (error instanceof HubError && error.code === 'artifact-lost') return false;
    throw error;
  }
  return hash.digest('hex') === sha256;
}

async function copyEvidence(
  { read }: Database,
  source: Place,
  target: Place,
  { progress }: MoveOrder,
): Promise<Pick<MovedArtifacts, 'evidence' | 'lost'>> {
  const lost: string[] = [];
  let [evidence, after] = [0, ''];
  for (;;) {
    const rows = await read
      .selectFrom('evidence_content')
      .select('sha256')
      .where('sha256', '>', after)
      .where('size', '>=', 0)
      .orderBy('sha256')
      .limit(ROWS_AT_ONCE)
      .execute();
    for (const { sha256 } of rows) {
      after = sha256;
      const bytes = await source.evidence.read(sha256);
      if (bytes !== undefined) {
        await target.evidence.put(contentOf(bytes, sha256));
        target.evidence.release([sha256]);
        evidence += 1;
      } else if ((await target.evidence.read(sha256)) === undefined) {
        lost.push(`evidence ${sha256}: missing or damaged`);
        progress(`evidence ${sha256}: lost`);
      }
    }
    if (rows.length < ROWS_AT_ONCE) return { evidence, lost };
  }
}
